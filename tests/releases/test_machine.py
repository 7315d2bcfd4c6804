"""After any sequence of acts over HTTP, devices get the answers that the oracle computes from the rows.

``OTA_EXAMPLES`` sets the number of sequences. Thousands more run on the core, in tests/core/test_machine.py.
"""

from __future__ import annotations

from itertools import count, product
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from ota.apps import apps
from ota.builds import versions
from ota.builds.versions import VersionDraft
from ota.clock import utcnow
from ota.core.catalog import Candidate
from ota.core.decision import UpdateQuery
from ota.core.lifecycle import LIVE_STATES, ReleaseState
from ota.core.permissions import Role
from ota.core.platforms import Platform
from ota.core.versions import parse_current_version
from ota.db import reader, transaction
from ota.history.audit import SYSTEM
from ota.models import App, Channel, Release, Version
from tests.conftest import Api
from tests.core import oracle
from tests.core.cases import EXAMPLES

STABLE, BETA = "stable", "beta"
REACHED = {STABLE: {STABLE}, BETA: {BETA, STABLE}}
CODES = range(2, 6)
DEVICES = ["d1", "d2", None]
OF_ANOTHER_APP = 1_000

platforms = st.sampled_from(list(Platform))
channels = st.sampled_from([STABLE, BETA])
parts = st.sampled_from([10_000, 10_000, 5_000, 2_500, 0])
releases = st.tuples(
    platforms, st.sampled_from(CODES), channels, parts, st.sampled_from([False, False, True])
)
which = st.integers(0, 7)
VERBS = {
    "pause": "paused",
    "resume": "active",
    "halt": "halted",
    "rollback": "rolled_back",
    "withdraw": "withdrawn",
}
numbers = count()


class Server(RuleBasedStateMachine):
    """An app on a server with other apps. Each rule is a call of the API, which is only refused with 409."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self.app, self.api, self.boss = app, Api(app), Api(app, Role.ADMIN)
        self.slug = f"app-{next(numbers)}"
        self.versions: dict[tuple[Platform, int], int] = {}

    @initialize(
        mandatory=st.lists(st.booleans(), min_size=8, max_size=8),
        published=st.lists(releases, min_size=4, max_size=8),
    )
    def there_is_an_app(
        self, mandatory: list[bool], published: list[tuple[Platform, int, str, int, bool]]
    ) -> None:
        with self.app.app_context(), transaction() as session:
            apps.create(session, SYSTEM, slug=self.slug, name=self.slug, now=utcnow())
        made = self.boss.post("/api/channels", {"app": self.slug, "name": BETA, "falls_back_to": [STABLE]})
        assert made.status_code == 201, made.text
        self.channels = {
            each["name"]: each["id"]
            for each in self.api.get(f"/api/channels?app={self.slug}").json["channels"]
        }
        for (platform, code), is_mandatory in zip(product(Platform, CODES), mandatory, strict=True):
            self.versions[platform, code] = add(self.app, self.slug, platform, code, is_mandatory)
        for release in published:
            self._start(*release)

    @rule(release=releases)
    def publish(self, release: tuple[Platform, int, str, int, bool]) -> None:
        self._start(*release)

    def _start(self, platform: Platform, code: int, channel: str, rollout: int, is_floor: bool) -> None:
        body = {"channel": channel, "rollout": rollout, "is_floor": is_floor and rollout == 10_000}
        self._send(f"/api/versions/{self.versions[platform, code]}/releases", body)

    @precondition(lambda self: self._live())
    @rule(n=which, verb=st.sampled_from(list(VERBS)))
    def pause_resume_halt_or_end(self, n: int, verb: str) -> None:
        release = self._pick(n)
        if self._send(f"/api/releases/{release}/{verb}"):
            assert self.api.get(f"/api/releases/{release}").json["release"]["state"] == VERBS[verb]

    @precondition(lambda self: self._live())
    @rule(n=which, rollout=parts)
    def open_further_or_less(self, n: int, rollout: int) -> None:
        with self.app.app_context():
            row = reader().get_one(Release, release := self._pick(n))
            is_refused = row.is_floor and rollout < row.rollout
        answer = self.api.post(f"/api/releases/{release}/rollout", {"rollout": rollout})
        assert answer.status_code == (400 if is_refused else 200), answer.text

    @precondition(lambda self: self._live())
    @rule(n=which, channel=channels, rollout=parts)
    def promote(self, n: int, channel: str, rollout: int) -> None:
        with self.app.app_context():
            is_there = reader().get_one(Release, release := self._pick(n)).channel.name == channel
        if not is_there:
            self._send(f"/api/releases/{release}/promote", {"channel": channel, "rollout": rollout})

    @precondition(lambda self: self._live())
    @rule(n=which)
    def deactivate(self, n: int) -> None:
        with self.app.app_context():
            version_id = reader().get_one(Release, self._pick(n)).version_id
        assert self._send(f"/api/updates/deactivate/{version_id}")

    @precondition(lambda self: self._live())
    @rule(n=which)
    def roll_back_the_newest(self, n: int) -> None:
        with self.app.app_context():
            release = reader().get_one(Release, self._pick(n))
            where = {"app": self.slug, "platform": release.platform, "channel": release.channel.name}
        assert self._send("/api/updates/rollback", where)

    @rule(
        what=st.sampled_from(["app", STABLE, BETA]),
        verb=st.sampled_from(["shut-off", "turn-on", "turn-on", "turn-on"]),
    )
    def shut_off_or_turn_on(self, what: str, verb: str) -> None:
        path = f"/api/apps/{self.slug}" if what == "app" else f"/api/channels/{self.channels[what]}"
        assert self._send(f"{path}/{verb}")

    @invariant()
    def every_device_is_told_what_the_semantics_say(self) -> None:
        if not self.versions:
            return
        with self.app.app_context():
            app_row = apps.find(reader(), self.slug)
            off = {each.name for each in app_row.channels if each.is_shut_off}
            streams = {stream: rows(app_row, *stream, off) for stream in product(Platform, REACHED)}
            withdrawn, is_off = gone(app_row), app_row.is_shut_off
        for (platform, channel), candidates in streams.items():
            for device, code, by_hand in [*product(DEVICES, [1], [False]), ("d1", 1, True), ("d2", 3, False)]:
                asked = {
                    "app": self.slug,
                    "channel": channel,
                    "platform": platform,
                    "device_id": device,
                    "user_initiated": by_hand,
                }
                answer = self.api.check(f"1.{code}.0+{code}", **asked)
                query = UpdateQuery(parse_current_version(f"1.{code}.0+{code}"), device, by_hand)
                wanted = oracle.answer(query, candidates, utcnow(), is_off or channel in off)
                fields = ("version_code", "reason", "is_mandatory", "blocked")
                assert tuple(answer[field] for field in fields) == wanted
                assert answer["version_code"] != OF_ANOTHER_APP
                assert answer["current_version_withdrawn"] is ((platform, code) in withdrawn)
                assert answer["download_url"] in {None, address(self.slug, platform, answer["version_code"])}

    def _send(self, path: str, body: Any = None) -> bool:
        """Return whether the call was accepted; it can only be refused because of the present state."""
        answer = self.api.post(path, body)
        assert answer.status_code in {200, 201, 409}, answer.text
        return answer.status_code < 300

    def _live(self) -> list[int]:
        with self.app.app_context():
            query = (
                select(Release.id)
                .join(Version)
                .join(App)
                .where(App.slug == self.slug, Release.state.in_(LIVE_STATES))
            )
            return list(reader().scalars(query.order_by(Release.id)))

    def _pick(self, n: int) -> int:
        live = self._live()
        return live[n % len(live)]


def address(slug: str, platform: Platform, code: int) -> str:
    return f"https://files.example.com/{slug}/{platform}/{code}"


def add(app: Flask, slug: str | None, platform: Platform, code: int, is_mandatory: bool = False) -> int:
    draft = VersionDraft(
        platform=platform,
        version=f"1.{code}.0",
        version_code=code,
        download_url=address(slug or "", platform, code),
        checksum=f"{code:064x}",
        is_mandatory=is_mandatory,
    )
    with app.app_context(), transaction() as session:
        return versions.add(session, SYSTEM, apps.find(session, slug), draft, artifact=None, now=utcnow()).id


def rows(app: App, platform: Platform, channel: str, off: set[str]) -> list[Candidate]:
    """Return the candidates of one stream, read without the code that compiles catalogs."""
    reached = [] if channel in off else REACHED[channel] - off
    found = select(Release, Version).join(Release.version).join(Channel, Channel.id == Release.channel_id)
    found = found.where(
        Version.app_id == app.id,
        Version.platform == platform,
        Channel.name.in_(reached),
        Release.state.in_(LIVE_STATES),
    )
    return [
        Candidate(
            release_id=release.id,
            version_id=version.id,
            version=version.version,
            version_code=version.version_code,
            rollout=release.rollout,
            salt=release.salt,
            state=ReleaseState(release.state),
            is_mandatory=version.is_mandatory,
            starts_at=release.starts_at,
            is_floor=release.is_floor,
        )
        for release, version in reader().execute(found)
    ]


def gone(app: App) -> set[tuple[str, int]]:
    """Return the versions that were withdrawn and have no live release."""
    of_app = reader().scalars(
        select(Version).where(Version.app_id == app.id, Version.withdrawn_at.is_not(None))
    )
    return {
        (version.platform, version.version_code)
        for version in of_app
        if not any(each.is_live for each in version.releases)
    }


@pytest.mark.timeout(120 + EXAMPLES)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whatever_publishers_do_devices_are_told_what_the_semantics_say(app: Flask, api: Api) -> None:
    for platform in Platform:
        assert (
            api.post(f"/api/versions/{add(app, None, platform, OF_ANOTHER_APP)}/activate").status_code == 200
        )
    run_state_machine_as_test(
        lambda: Server(app),
        settings=settings(
            max_examples=max(12, EXAMPLES // 20),
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # Salts are random, so Hypothesis cannot shrink a failure: it is reported as it was found.
            phases=[Phase.generate],
            database=None,
        ),
    )
