"""A small world around the core: releases, and phones that install only what their platform accepts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from ota.core.catalog import Candidate, Catalog
from ota.core.channels import followed
from ota.core.decision import Offer, UpdateQuery
from ota.core.lifecycle import LIVE_STATES, ReleaseState
from ota.core.platforms import Platform, os_numbers
from ota.core.rollout import FULL
from ota.core.signers import SignerRange, Signers, break_in
from ota.core.versions import parse_current_version
from tests.core.cases import NOW

STABLE, BETA = 1, 2
FALLBACKS = {BETA: [STABLE]}
REACHED = {STABLE: {STABLE}, BETA: {BETA, STABLE}}
"""The channels whose releases a device on each channel can be offered, stated independently of the code."""

KEYS: dict[Platform, list[Signers]] = {
    Platform.ANDROID: [
        (SignerRange(0, "old"),),
        (SignerRange(0, "new", ("old",)),),
        (SignerRange(0, "old"), SignerRange(33, "new", ("old",))),
        (SignerRange(0, "stranger"),),
    ],
    Platform.IOS: [(SignerRange(0, "team"),), (SignerRange(0, "other team"),)],
}


@dataclass(frozen=True, eq=False)
class Build:
    """A version with the facts of its file."""

    platform: Platform
    code: int
    key: Signers
    system: int | None = None
    """The lowest API level, or the lowest iOS."""
    abis: frozenset[str] = frozenset()
    is_mandatory: bool = False
    minimum: int | None = None
    """The code below which a device must take it."""

    @property
    def name(self) -> str:
        return named(self.code)


@dataclass(eq=False)
class WorldRelease:
    """A release, as its row describes it. It is mandatory for the ``critical`` codes (from, below)."""

    id: int
    build: Build
    channel: int
    rollout: int
    starts_at: datetime
    state: ReleaseState = ReleaseState.ACTIVE
    groups: frozenset[int] = frozenset()
    mandatory_from: datetime | None = None
    critical: tuple[int, int] | None = None
    is_floor: bool = False

    @property
    def is_live(self) -> bool:
        return self.state in LIVE_STATES

    def demands(self, code: int, now: datetime) -> bool:
        """Return whether the release by itself is mandatory for a device on this code."""
        is_due = self.mandatory_from is not None and self.mandatory_from <= now
        return (
            self.build.is_mandatory
            or is_due
            or (self.critical is not None and self.critical[0] <= code < self.critical[1])
        )


@dataclass(eq=False)
class Phone:
    """A device with the rules of its platform."""

    id: str | None
    build: Build
    channel: int
    system: int
    abis: frozenset[str] = frozenset()
    groups: frozenset[int] = frozenset()
    offered: dict[int, int] = field(default_factory=dict)
    """The releases offered by checks without a user, each with the lowest rollout at which it was offered."""

    @property
    def platform(self) -> Platform:
        return self.build.platform

    def accepts(self, new: Build) -> bool:
        """Return whether the platform would install the build as an update."""
        return (
            new.platform is self.platform
            and new.code > self.build.code
            and self.system >= (new.system or 0)
            and (not new.abis or not self.abis or bool(new.abis & self.abis))
            and self._trusts(new.key)
        )

    def is_offerable(self, new: Build) -> bool:
        """Return whether the server would offer the build.

        The server treats all phones with one version alike: a build that some of them refuse is offered to
        none.
        """
        return self.accepts(new) and not is_break(self.build.key, new.key)

    def _trusts(self, new: Signers) -> bool:
        was, is_now = (
            [each for each in key if each.first <= self.system][-1] for key in (self.build.key, new)
        )
        return is_now.signer == was.signer or was.signer in is_now.follows

    def question(self, by_hand: bool = False) -> UpdateQuery:
        is_android = self.platform is Platform.ANDROID
        return UpdateQuery(
            parse_current_version(f"{self.build.name}+{self.build.code}"),
            self.id,
            by_hand,
            self.groups,
            self.system if is_android else None,
            None if is_android else os_numbers(f"{self.system}"),
            self.abis,
        )


class World:
    """One app on two platforms and two channels, of which beta falls back to stable."""

    def __init__(self) -> None:
        self.now = NOW
        self.releases: list[WorldRelease] = []
        first = {platform: Build(platform, 1, keys[0]) for platform, keys in KEYS.items()}
        self.builds: dict[tuple[Platform, int], Build] = {
            (platform, 1): build for platform, build in first.items()
        }
        self.withdrawn: set[Build] = set()
        self.shut_off: set[int] = set()
        self.is_off = False
        android, ios, arm, both = (
            first[Platform.ANDROID],
            first[Platform.IOS],
            frozenset({"arm64-v8a"}),
            frozenset({"arm64-v8a", "x86"}),
        )
        self.phones = [
            Phone("a", android, STABLE, 35, arm),
            Phone("b", android, STABLE, 27, arm),
            Phone(None, android, STABLE, 34, both),
            Phone("c", android, BETA, 34, both),
            Phone("d", android, BETA, 33, frozenset({"x86"}), frozenset({1})),
            Phone("e", ios, STABLE, 18),
            Phone("f", ios, STABLE, 15, groups=frozenset({1, 2})),
            Phone("g", ios, BETA, 17),
        ]
        self.reduced: dict[tuple[Platform, int], Catalog] = {}
        self.touch()

    def touch(self) -> None:
        """Compile the catalogs after a change, as the server does. They are used until the next change."""
        self.reduced = {stream: self.catalog(*stream, at=self.now) for stream in self._streams()}
        self.whole = {stream: self.catalog(*stream) for stream in self._streams()}

    def catalog(self, platform: Platform, channel: int, at: datetime | None = None) -> Catalog:
        live = self.live_on(platform, channel)
        return Catalog.of(
            [self._candidate(each) for each in live],
            is_shut_off=self.is_off or channel in self.shut_off,
            withdrawn=[(build.code, build.name) for build in self.withdrawn if build.platform is platform],
            in_use=[each.build.name for each in live],
            at=at,
        )

    def live_on(self, platform: Platform, channel: int) -> list[WorldRelease]:
        """Return the live releases of one stream."""
        channels = followed(channel, FALLBACKS, self.shut_off)
        return [each for each in self.live() if each.build.platform is platform and each.channel in channels]

    def live(self) -> list[WorldRelease]:
        return [each for each in self.releases if each.is_live]

    def on(self, build: Build, channel: int) -> WorldRelease | None:
        """Return the live release of a version on a channel."""
        return next((each for each in self.live() if each.build is build and each.channel == channel), None)

    def release_of(self, offer: Offer) -> WorldRelease:
        return self.releases[offer.candidate.release_id - 1]

    def floors_between(self, phone: Phone, code: int) -> Iterator[WorldRelease]:
        """Yield the floors between a phone and a version code."""
        for each in self.live_on(phone.platform, phone.channel):
            if each.is_floor and each.starts_at <= self.now and phone.build.code < each.build.code < code:
                yield each

    def add(self, release: WorldRelease) -> WorldRelease:
        self.releases.append(release)
        self.withdrawn.discard(release.build)
        self.touch()
        return release

    def end(self, release: WorldRelease, state: ReleaseState) -> None:
        """Roll a release back, or withdraw it. Its version is withdrawn with its last live release."""
        release.state = state
        if state is ReleaseState.WITHDRAWN and not any(each.build is release.build for each in self.live()):
            self.withdrawn.add(release.build)
        self.touch()

    def _streams(self) -> Iterator[tuple[Platform, int]]:
        return ((platform, channel) for platform in Platform for channel in (STABLE, BETA))

    def _candidate(self, each: WorldRelease) -> Candidate:
        build, is_android = each.build, each.build.platform is Platform.ANDROID
        lower = (code for (platform, code) in self.builds if platform is build.platform and code < build.code)
        return Candidate(
            release_id=each.id,
            version_id=build.code,
            version=build.name,
            version_code=build.code,
            rollout=each.rollout,
            salt=f"salt {each.id}",
            state=each.state,
            is_mandatory=build.is_mandatory,
            min_supported_version=bound(build.minimum),
            starts_at=each.starts_at,
            groups=each.groups,
            mandatory_from=each.mandatory_from,
            critical_from=bound(each.critical[0]) if each.critical else None,
            critical_below=bound(each.critical[1]) if each.critical else None,
            is_floor=each.is_floor,
            min_sdk=build.system if is_android else None,
            min_os=None if is_android or build.system is None else str(build.system),
            abis=build.abis,
            refused_on=frozenset(c for c in lower if is_break(self.builds[build.platform, c].key, build.key)),
        )


is_break = cache(lambda old, new: break_in([old], new) is not None)


@cache
def named(code: int) -> str:
    return f"1.{code}.0"


@cache
def bound(code: int | None) -> str | None:
    return None if code is None else f"{named(code)}+{code}"


HOURS = [timedelta(0), timedelta(hours=1), timedelta(hours=5)]
PARTS = [FULL, FULL, 5_000, 3_000, 1_000, 8_000, 0]
