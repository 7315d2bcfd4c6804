"""Which devices vote about a release, and from when: mistakes here make a good release look bad, or a bad one
good.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from ota.core.lifecycle import ReleaseState
from ota.core.platforms import Platform
from ota.db import reader, transaction
from ota.history.audit import SYSTEM
from ota.models import App, Channel, ReleaseDevice, ReleaseHealth, Version
from ota.releases import acts as release_acts
from ota.releases import edits as release_edits
from ota.releases import rows as release_rows
from tests.health.given import evaluate
from tests.releases.given import START, begin, hours, look, make
from tests.telemetry.given import World, version_id

SECOND = timedelta(seconds=1)
CHECKING = START + hours(1)


@pytest.fixture
def world(in_app: Flask) -> World:
    """All 2,000 devices are known and run version 1; version 2 is open to 10 %."""
    begin(make(1), at=START - hours(48))
    found = World(begin(make(2), rollout=1_000))
    found.known([f"phone {number}" for number in range(2_000)])
    return found


def sides(world: World, rollout: int = 1_000) -> tuple[list[str], list[str]]:
    ids = [f"phone {number}" for number in range(2_000)]
    return [each for each in ids if world.is_inside(each, rollout)], [
        each for each in ids if not world.is_inside(each, rollout)
    ]


def all_check(world: World, at: datetime = CHECKING, rollout: int = 1_000) -> tuple[list[str], list[str]]:
    inside, outside = sides(world, rollout)
    checks = [world.offered(each, at + number * SECOND) for number, each in enumerate(inside)]
    checks += [world.check(each, at + number * SECOND) for number, each in enumerate(outside)]
    world.count(*checks, at=at + hours(0.6))
    return inside, outside


def found(world: World, at: datetime) -> ReleaseHealth:
    return evaluate(world.release_id, at)


def failing(world: World, at: datetime) -> tuple[int, int]:
    row = found(world, at)
    return row.failing_rollout, row.failing_control


def test_a_device_of_the_release_is_observed_from_its_last_offer(world: World) -> None:
    inside, _ = all_check(world)
    world.count(*(world.offered(each, START + hours(5)) for each in inside[:10]), at=START + hours(5))
    times = [each.enrolled_at for each in journeys(world, is_control=False)]
    assert sorted(times)[-10:] == [START + hours(5)] * 10
    assert sorted(times)[0] == CHECKING + 10 * SECOND
    world.count(world.runs_it(inside[0], START + hours(6)), at=START + hours(6))
    world.count(world.offered(inside[0], START + hours(7)), at=START + hours(7))
    assert max(each.enrolled_at or START for each in journeys(world, is_control=False)) == START + hours(5)


def journeys(world: World, *, is_control: bool) -> list[Any]:
    reader().rollback()
    which = ReleaseDevice.release_id == world.release_id, ReleaseDevice.is_control.is_(is_control)
    return list(reader().scalars(select(ReleaseDevice).where(*which).order_by(ReleaseDevice.turn)))


def test_a_crash_counts_whether_the_device_checks_before_or_after_its_report(world: World) -> None:
    inside, _ = all_check(world)
    at = START + hours(2)
    early, late, mute = inside[0::3], inside[1::3], inside[2::3]
    batch = [world.runs_it(each, at + hours(0.2)) for each in early]
    batch += [world.event(each, "crash", at, received=at + hours(0.3)) for each in early]
    batch += [world.event(each, "crash", at, received=at + hours(0.1)) for each in late]
    batch += [world.runs_it(each, at + hours(0.2)) for each in late]
    batch += [world.event(each, "crash", at) for each in mute]
    world.count(*batch, at=at + hours(0.5))
    row = found(world, START + hours(6))
    assert (row.failing_rollout, row.rollout, row.is_bad) == (len(inside), len(inside), True)
    assert look(world.release_id).state == ReleaseState.HALTED


def test_a_crash_after_a_failed_installation_counts(world: World) -> None:
    inside, _ = all_check(world)
    at = START + hours(2)
    kinds = ("install_failed", "installed", "crash", "crash")
    batch = [
        world.event(each, kind, at + number * SECOND) for each in inside for number, kind in enumerate(kinds)
    ]
    world.count(*batch, at=at + hours(0.5))
    assert failing(world, START + hours(6)) == (len(inside), 0)


def test_failed_installations_are_not_compared_with_a_control_that_can_have_none(world: World) -> None:
    inside, _ = all_check(world)
    world.count(
        *(world.event(each, "install_failed", START + hours(2)) for each in inside[:20]), at=START + hours(3)
    )
    row = found(world, START + hours(6))
    assert (row.failing_rollout, row.is_bad) == (0, False)
    assert {each.failure for each in journeys(world, is_control=False)} == {None, "install_failed"}


def test_an_app_that_crashes_often_is_compared_with_its_control_alone(world: World) -> None:
    inside, outside = all_check(world)
    at = START + hours(2)
    old = version_id(1)
    batch = [world.event(each, "crash", at + number * 9 * SECOND) for number, each in enumerate(inside[::15])]
    batch += [
        world.event(each, "crash", at + number * SECOND, version_id=old)
        for number, each in enumerate(outside[::15])
    ]
    world.count(*batch, at=at + hours(0.5))
    row = found(world, START + hours(6))
    assert (row.failing_rollout > 10, row.failing_control > 100, row.is_bad) == (True, True, False)
    assert [each["test"] for each in row.tests] == ["control"]


def test_early_crashes_are_not_counted_before_healthy_devices(in_app: Flask) -> None:
    """One device in a hundred crashes and reports it at once; the others check a day later."""
    begin(make(1), at=START - hours(48))
    world = World(begin(make(2)))
    ids = [f"phone {number}" for number in range(600)]
    world.known(ids)
    world.count(
        *(world.offered(each, START + number * 10 * SECOND) for number, each in enumerate(ids)),
        at=START + hours(2),
    )
    batch = [
        world.event(each, "crash", START + hours(2) + number * SECOND)
        for number, each in enumerate(ids[::100])
    ]
    world.count(*batch, at=START + hours(2.5))
    row = found(world, START + hours(8))
    assert (row.failing_rollout, row.rollout, row.is_bad) == (6, 600, False)


def test_devices_that_check_on_another_day_are_in_the_control_again(world: World) -> None:
    _, outside = all_check(world)
    for day in (1, 2):
        world.count(
            *(world.check(each, START + hours(24 * day + 1)) for each in outside),
            at=START + hours(24 * day + 1),
        )
    assert {each.turn for each in journeys(world, is_control=True)} == {0, 1, 2}
    for hour in (20, 44, 68):
        row = found(world, START + hours(hour))
        assert row.tests[0]["curve"][-1][2] == len(outside), hour


def test_one_device_of_the_control_votes_once(world: World) -> None:
    _, outside = all_check(world)
    old = version_id(1)
    for day in range(3):
        at = START + hours(24 * day + 2)
        world.count(
            world.check(outside[0], at),
            world.event(outside[0], "crash", at + SECOND, version_id=old),
            at=at + hours(1),
        )
    assert failing(world, START + hours(90)) == (0, 1)


def test_after_a_resume_the_control_is_enrolled_again(world: World) -> None:
    inside, outside = all_check(world)
    world.count(*(world.event(each, "crash", START + hours(2)) for each in inside), at=START + hours(2))
    assert found(world, START + hours(5)).is_bad
    with transaction() as session:
        release = release_rows.get(session, world.release_id)
        release_acts.change_state(session, SYSTEM, release, ReleaseState.ACTIVE, now=START + hours(6))
    all_check(world, START + hours(7))
    row = found(world, START + hours(10))
    assert (row.is_bad, row.rounds, row.control) == (False, 1, len(outside))


def test_devices_that_a_larger_rollout_includes_leave_the_control_at_that_moment(world: World) -> None:
    all_check(world)
    with transaction() as session:
        release_edits.set_rollout(
            session, SYSTEM, release_rows.get(session, world.release_id), 5_000, now=START + hours(4)
        )
    left = [each.left_at for each in journeys(world, is_control=True)]
    inside = len(sides(world, 5_000)[0]) - len(sides(world)[0])
    assert left.count(START + hours(4)) == inside
    assert left.count(None) == len(left) - inside


def test_phones_that_could_not_install_the_release_are_no_control(in_app: Flask) -> None:
    begin(make(1), at=START - hours(48))
    world = World(begin(make(2, min_sdk=30), rollout=1_000))
    ids = [f"phone {number}" for number in range(40)]
    world.known(ids)
    outside = [each for each in ids if not world.is_inside(each, 1_000)]
    batch = [
        world.check(each, START + hours(1), sdk=21 if number % 2 else 33)
        for number, each in enumerate(outside)
    ]
    world.count(*batch, at=START + hours(1))
    assert len(journeys(world, is_control=True)) == len(outside[::2])


def test_devices_unknown_before_the_release_started_do_not_vote(world: World) -> None:
    all_check(world)
    forged = [f"forged {number}" for number in range(100)]
    at = START + hours(2)
    batch = [world.offered(each, at, user_initiated=True) for each in forged]
    batch += [world.event(each, "crash", at + SECOND) for each in forged]
    world.count(*batch, at=at + hours(0.1))
    assert failing(world, START + hours(6)) == (0, 0)
    assert look(world.release_id).state == ReleaseState.ACTIVE


def test_devices_that_were_not_drawn_are_not_compared_with_the_control(world: World) -> None:
    _, outside = all_check(world)
    at = START + hours(2)
    batch = [world.offered(each, at, user_initiated=True) for each in outside[:100]]
    batch += [world.event(each, "crash", at + SECOND) for each in outside[:100]]
    world.count(*batch, at=at + hours(0.1))
    assert failing(world, START + hours(6)) == (0, 0)


def test_the_same_device_id_in_another_app_does_not_vote(world: World) -> None:
    with transaction() as session:
        other = App(slug="other", name="Other", created_at=START)
        session.add(other)
        session.flush()
        other_id = other.id
        session.add(Channel(app_id=other_id, name="stable", created_at=START))
    _, outside = all_check(world)
    with transaction() as session:
        made = Version(
            app_id=other_id,
            platform="android",
            version="1.1.0",
            version_code=1,
            created_at=START,
            checksum="0" * 64,
            download_url="https://files.example.com/1.apk",
        )
        session.add(made)
        session.flush()
        foreign = made.id
    world.app_id = other_id
    world.count(
        *(world.event(each, "crash", START + hours(2), version_id=foreign) for each in outside),
        at=START + hours(2),
    )
    assert failing(world, START + hours(6)) == (0, 0)


def test_a_check_on_another_platform_completes_nothing_here(in_app: Flask) -> None:
    world = World(begin(make(2)))
    apple = make(2, platform=Platform.IOS)
    assert apple
    world.known(["both"])
    world.count(world.offered("both", START + hours(1)), at=START + hours(1))
    world.count(
        world.check("both", START + hours(2), "1.2.0+2").replace(b'"android"', b'"ios"'), at=START + hours(2)
    )
    assert [each.installed_at for each in journeys(world, is_control=False)] == [None]


def test_a_late_check_from_another_machine_does_not_undo_an_installation(in_app: Flask) -> None:
    world = World(begin(make(2)))
    world.known(["phone"])
    world.count(
        world.offered("phone", START + hours(1)),
        world.runs_it("phone", START + hours(2)),
        at=START + hours(2),
    )
    world.count(world.check("phone", START + hours(1.5)), at=START + hours(3))
    assert [(each.installed_at, each.left_at) for each in journeys(world, is_control=False)] == [
        (START + hours(2), None)
    ]
