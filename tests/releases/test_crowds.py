"""A hundred people act at the same moment: one wins, and the history has every change.

``OTA_ROUNDS`` sets the number of rounds; ``make nightly`` runs 50.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import select

from ota import catalogs
from ota.apps import apps
from ota.builds.version_edits import VersionEdit
from ota.builds.versions import VersionDraft
from ota.core.lifecycle import ReleaseState
from ota.core.permissions import Role
from ota.core.platforms import Platform
from ota.db import reader, transaction
from ota.errors import OtaError
from ota.history.audit import Actor
from ota.models import AuditEvent, Release, Version
from ota.releases import acts as release_acts
from ota.releases import edits as release_edits
from ota.releases import publishing
from tests.releases.given import START, begin, hours, look, make

ROUNDS = int(os.environ.get("OTA_ROUNDS", "2"))
CROWD = 100
LATER = START + hours(1)

pytestmark = pytest.mark.timeout(120 + 30 * ROUNDS)
Act = Callable[[Actor], object]


def at_once(app: Flask, acts: list[Act]) -> Counter[str]:
    """Run the acts at the same moment, each in its own thread and transaction. Count their error codes."""
    together = Barrier(len(acts))

    def one(number: int) -> str:
        actor = Actor(label=f"person {number}", role=Role.PUBLISHER)
        with app.app_context():
            together.wait()
            try:
                with transaction():
                    acts[number](actor)
            except OtaError as error:
                return error.code
            return "done"

    with ThreadPoolExecutor(len(acts)) as pool:
        return Counter(pool.map(one, range(len(acts))))


def publishers(code: int, version_id: int, revision: int) -> list[Act]:
    """Return publishers: half start a release, half call the published protocol's publish."""
    draft = VersionDraft(
        platform=Platform.ANDROID,
        version=f"1.{code}.0",
        version_code=code,
        download_url=f"https://files.example.com/{code}.apk",
        checksum=f"{code:064x}",
    )

    def start(actor: Actor) -> object:
        return release_acts.start(
            reader(), actor, reader().get_one(Version, version_id), revision=revision, now=START
        )

    def publish(actor: Actor) -> object:
        return publishing.publish(reader(), actor, apps.find(reader(), None), draft, VersionEdit(), now=START)

    return [start, publish] * (CROWD // 2)


def movers(release_id: int, revision: int, *states: ReleaseState) -> list[Act]:
    """Return people who change the state of a release, based on one revision."""

    def to(state: ReleaseState) -> Act:
        return lambda actor: release_acts.change_state(
            reader(), actor, reader().get_one(Release, release_id), state, revision=revision, now=LATER
        )

    return [to(state) for state in states]


def raisers(release_id: int, revision: int, count: int) -> list[Act]:
    """Return people who raise the rollout of a release, based on one revision."""

    def to(rollout: int) -> Act:
        return lambda actor: release_edits.set_rollout(
            reader(), actor, reader().get_one(Release, release_id), rollout, revision=revision, now=LATER
        )

    return [to(5_000 + number) for number in range(count)]


def live_of(version_id: int) -> list[int]:
    reader().rollback()
    return [
        release.id
        for release in reader().scalars(select(Release).where(Release.version_id == version_id))
        if release.is_live
    ]


def check_history(release_id: int) -> list[str]:
    """Check that each revision has one history entry that continues the one before. Return the actions."""
    release = look(release_id)
    rows = (
        select(AuditEvent)
        .where(AuditEvent.subject_type == "release", AuditEvent.subject_id == str(release_id))
        .order_by(AuditEvent.id)
    )
    events = reader().scalars(rows).all()
    assert [event.after["revision"] for event in events] == list(range(1, release.revision + 1))
    assert events[0].action == "release.started"
    known = {"state": "active", "rollout": events[0].after["rollout"], "reason": None, "ended_at": None}
    for event in events[1:]:
        assert {column: known.get(column) for column in event.before} == event.before
        known |= {column: value for column, value in event.after.items() if column in event.before}
    assert (known["state"], known["rollout"], known["ended_at"] is None) == (
        release.state,
        release.rollout,
        release.ended_at is None,
    )
    return [event.action for event in events]


def test_of_a_hundred_publishers_of_a_version_one_wins(app: Flask) -> None:
    with app.app_context():
        for code in range(1, ROUNDS + 1):
            version_id = make(code)
            counts = at_once(app, publishers(code, version_id, revision=1))
            assert counts["done"] == 1, counts
            assert set(counts) <= {"done", "already_released", "stale_revision"}, counts
            [release_id] = live_of(version_id)
            assert check_history(release_id) == ["release.started"]
            assert reader().get_one(Version, version_id).is_active


def test_of_a_hundred_who_roll_one_release_back_one_wins(app: Flask) -> None:
    with app.app_context():
        for code in range(1, ROUNDS + 1):
            version_id = make(code)
            release_id = begin(version_id)
            counts = at_once(app, movers(release_id, 1, *[ReleaseState.ROLLED_BACK] * CROWD))
            assert counts["done"] == 1, counts
            assert set(counts) <= {"done", "wrong_state", "stale_revision"}, counts
            assert check_history(release_id) == ["release.started", "release.rolled_back"]
            assert not reader().get_one(Version, version_id).is_active


def test_of_publishers_and_those_who_roll_back_what_they_saw_one_wins(app: Flask) -> None:
    """All saw the same live release of a version, so it cannot be published again before a rollback."""
    with app.app_context():
        for code in range(1, ROUNDS + 1):
            version_id = make(code)
            release_id = begin(version_id)
            seen = reader().get_one(Version, version_id).revision
            starting = publishers(code, version_id, seen)[::2]
            counts = at_once(
                app,
                [
                    act
                    for pair in zip(
                        starting, movers(release_id, 1, *[ReleaseState.ROLLED_BACK] * 50), strict=True
                    )
                    for act in pair
                ],
            )
            assert counts["done"] == 1, counts
            assert set(counts) <= {"done", "already_released", "wrong_state", "stale_revision"}, counts
            assert live_of(version_id) == []
            assert check_history(release_id) == ["release.started", "release.rolled_back"]


def test_of_a_hundred_who_want_different_things_of_one_release_one_wins(app: Flask) -> None:
    """Pausing, halting, rolling back, withdrawing and raising the rollout, all based on the same revision."""
    stops = (ReleaseState.PAUSED, ReleaseState.HALTED, ReleaseState.ROLLED_BACK, ReleaseState.WITHDRAWN)
    with app.app_context():
        for code in range(1, ROUNDS + 1):
            version_id = make(code)
            release_id = begin(version_id, rollout=1_000)
            counts = at_once(app, [*raisers(release_id, 1, 20), *movers(release_id, 1, *stops * 20)])
            assert counts["done"] == 1, counts
            assert set(counts) <= {"done", "wrong_state", "stale_revision"}, counts
            assert len(check_history(release_id)) == 2
            assert reader().get_one(Version, version_id).is_active is look(release_id).is_live


def test_whoever_publishes_and_rolls_back_without_looking_leaves_a_whole_history(app: Flask) -> None:
    """No act names a revision, so several can win in turn: each has an entry, and one release at most is
    live.
    """
    with app.app_context():
        for code in range(1, ROUNDS + 1):
            version_id = make(code)

            def start(actor: Actor, version_id: int = version_id) -> object:
                return release_acts.start(reader(), actor, reader().get_one(Version, version_id), now=START)

            def roll_back(actor: Actor) -> object:
                found = apps.find(reader(), None)
                return release_acts.roll_back_newest(
                    reader(), actor, found, Platform.ANDROID, None, now=LATER
                )

            counts = at_once(app, [start, roll_back] * (CROWD // 2))
            assert set(counts) <= {
                "done",
                "already_released",
                "stale_revision",
                "wrong_state",
                "nothing_released",
            }, counts
            reader().rollback()
            made = reader().scalars(select(Release.id).where(Release.version_id == version_id)).all()
            lines = [action for release_id in made for action in check_history(release_id)]
            assert len(lines) == counts["done"]
            assert (
                len(live_of(version_id))
                == lines.count("release.started") - lines.count("release.rolled_back")
                in {0, 1}
            )
            assert reader().get_one(Version, version_id).is_active is bool(live_of(version_id))
            for release_id in live_of(version_id):
                with transaction() as session:
                    release_acts.change_state(
                        session,
                        Actor("end", Role.PUBLISHER),
                        look(release_id),
                        ReleaseState.ROLLED_BACK,
                        now=LATER,
                    )
        assert (
            catalogs.load(reader(), apps.find(reader(), None).channels[0].id, Platform.ANDROID).candidates
            == ()
        )
