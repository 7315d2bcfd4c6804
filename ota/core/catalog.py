"""What a decision chooses from: the live releases of a channel, put in order and reduced to those that can matter."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from ota.core.lifecycle import ReleaseState
from ota.core.platforms import os_numbers
from ota.core.rollout import FULL, bucket
from ota.core.versions import CurrentVersion, VersionName, parse_name


@dataclass(frozen=True, slots=True)
class Candidate:
    """One live release of a channel with what the decision needs of its version.

    ``rollout`` is in basis points and counted from bucket ``bucket_from``; ``starts_at`` and ``mandatory_from`` are UTC; ``state`` is
    one of `LIVE_STATES`. ``groups`` are ids of device groups. ``critical_from`` (inclusive) and ``critical_below`` (exclusive) bound
    the versions for whose devices it is mandatory. An empty ``abis`` runs on all. ``refused_on``: version codes on which a phone
    would refuse it, because they were signed by somebody else.
    """

    release_id: int
    version_id: int
    version: str
    version_code: int
    rollout: int
    salt: str
    state: ReleaseState = ReleaseState.ACTIVE
    is_mandatory: bool = False
    min_supported_version: str | None = None
    starts_at: datetime | None = None
    bucket_from: int = 0
    is_arm: bool = False
    groups: frozenset[int] = frozenset()
    mandatory_from: datetime | None = None
    critical_from: str | None = None
    critical_below: str | None = None
    is_floor: bool = False
    min_sdk: int | None = None
    min_os: str | None = None
    abis: frozenset[str] = frozenset()
    refused_on: frozenset[int] = frozenset()
    channel: str = ""

    @property
    def may_be_mandatory(self) -> bool:
        """Is there any device or moment for which it is mandatory by itself?"""
        return self.is_mandatory or self.mandatory_from is not None or self.critical_below is not None

    @property
    def is_open_to_all(self) -> bool:
        """Active and for everybody whose device can install it."""
        return self.state is ReleaseState.ACTIVE and self.rollout == FULL and not self.is_arm

    @property
    def min_os_numbers(self) -> tuple[int, ...]:
        return os_numbers(self.min_os)

    def has_started(self, now: datetime) -> bool:
        return self.starts_at is None or self.starts_at <= now


class Draw(NamedTuple):
    """The devices whose bucket for this salt is at least ``first`` and below ``end``."""

    salt: str
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Catalog:
    """The candidates of one (app, platform, channel), newest version code first; made by `Catalog.of`.

    ``floors`` come lowest first, of one version the newest release. ``withdrawn_codes`` and ``withdrawn_names`` are the versions that
    were withdrawn. ``is_timed``: a candidate's start lies ahead, so the moment of the question matters.
    """

    candidates: tuple[Candidate, ...]
    floors: tuple[Candidate, ...] = ()
    mandatory: tuple[Candidate, ...] = ()
    is_timed: bool = False
    is_shut_off: bool = False
    withdrawn_codes: frozenset[int] = frozenset()
    withdrawn_names: frozenset[VersionName] = frozenset()
    moments: tuple[datetime, ...] = ()
    draws: tuple[Draw, ...] = ()

    @classmethod
    def of(
        cls,
        candidates: Iterable[Candidate],
        *,
        is_shut_off: bool = False,
        withdrawn: Iterable[tuple[int, str]] = (),
        in_use: Iterable[str] = (),
        at: datetime | None = None,
    ) -> Catalog:
        """Put candidates in order; among releases of the same version the newest release comes first.

        With ``at`` those are left out that can't change any answer from that moment on, so that a long history costs nothing.
        ``withdrawn`` are codes and names; a name that is still ``in_use`` by another version says nothing about a device.
        """
        ordered = sorted(candidates, key=lambda c: (c.version_code, c.release_id), reverse=True)
        kept = tuple(ordered if at is None else _that_matter(ordered, at))
        codes = dict(withdrawn)
        names = {parse_name(name) for name in set(codes.values()) - set(in_use)}
        return cls(
            candidates=kept,
            floors=tuple(
                sorted((c for c in kept if c.is_floor), key=lambda c: (c.version_code, -c.release_id))
            ),
            mandatory=tuple(c for c in kept if c.may_be_mandatory),
            is_timed=any(c.starts_at is not None if at is None else not c.has_started(at) for c in kept),
            is_shut_off=is_shut_off,
            withdrawn_codes=frozenset(codes),
            withdrawn_names=frozenset(name for name in names if name is not None),
            moments=_moments(kept, at),
            draws=tuple(
                {
                    Draw(c.salt, c.bucket_from, c.bucket_from + c.rollout): None
                    for c in kept
                    if 0 < c.rollout < FULL
                }
            ),
        )

    def has_withdrawn(self, current: CurrentVersion) -> bool:
        """Does the device run a version that was withdrawn?"""
        return (
            current.name in self.withdrawn_names
            if current.build is None
            else current.build in self.withdrawn_codes
        )

    def drawn(self, device_id: str | None) -> int:
        """Inside of which draws the device is, a bit for each.

        Two questions that differ in the device's id and the moment only get the same decision when both are drawn alike and asked at
        the same `stage`.
        """
        bits = 0
        if device_id:
            for salt, first, end in self.draws:
                bits = bits << 1 | (first <= bucket(salt, device_id) < end)
        return bits

    def stage(self, now: datetime) -> int:
        """How many of the moments have come."""
        return bisect_right(self.moments, now) if self.moments else 0

    def with_release(self, candidate: Candidate) -> Catalog:
        """The same with one release more, or changed: what would happen if."""
        others = [c for c in self.candidates if c.release_id != candidate.release_id]
        changed = Catalog.of([*others, candidate])
        return replace(
            changed,
            is_shut_off=self.is_shut_off,
            withdrawn_codes=self.withdrawn_codes,
            withdrawn_names=self.withdrawn_names,
        )


def _moments(kept: Sequence[Candidate], at: datetime | None) -> tuple[datetime, ...]:
    known = {moment for c in kept for moment in (c.starts_at, c.mandatory_from) if moment is not None}
    return tuple(sorted(moment for moment in known if at is None or moment > at))


def _that_matter(ordered: Sequence[Candidate], at: datetime) -> list[Candidate]:
    """Leave out what lies below a release that is open to all who could install either.

    A floor is kept, and nothing above it covers what lies below: when it is closed, devices go on below it. Below it the skipped
    releases that are mandatory are kept, up to the first that makes the older ones needless.
    """
    kept: list[Candidate] = []
    covers: list[Candidate] = []
    floors = {c.version_code for c in ordered if c.is_floor}
    for candidate in ordered:
        # The floor's version may stand on another channel too, open where the floor itself is closed.
        if candidate.version_code in floors:
            covers = []
        is_covered = any(_covers(cover, candidate) for cover in covers)
        needs_mention = candidate.may_be_mandatory and not any(
            c.is_mandatory and _covers(c, candidate) for c in covers
        )
        if is_covered and not needs_mention:
            continue
        kept.append(candidate)
        if candidate.is_open_to_all and candidate.has_started(at):
            covers.append(candidate)
    return kept


def _covers(cover: Candidate, other: Candidate) -> bool:
    """Is every device that could be offered the other one offered this newer one as well?"""
    name, other_name = parse_name(cover.version), parse_name(other.version)
    return (
        (cover.min_sdk or 0) <= (other.min_sdk or 0)
        and os_numbers(cover.min_os) <= os_numbers(other.min_os)
        and (not cover.abis or (bool(other.abis) and other.abis <= cover.abis))
        and cover.refused_on <= other.refused_on
        and (other_name is None or (name is not None and name >= other_name))
    )
