"""The catalog that a decision chooses from: the live releases of a channel, in order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from ota.core.lifecycle import ReleaseState
from ota.core.platforms import os_numbers
from ota.core.rollout import FULL, bucket, buckets_inside
from ota.core.versions import CurrentVersion, VersionName, compare_to_device, is_below, parse_name


@dataclass(frozen=True, slots=True)
class Candidate:
    """One live release of a channel, with what the decision needs of its version.

    ``rollout`` is in basis points, counted from bucket ``bucket_from``. ``starts_at`` and ``mandatory_from``
    are UTC. ``state`` is one of `LIVE_STATES`. ``groups`` are ids of device groups. The release is mandatory
    for devices on versions from ``critical_from`` (inclusive) to ``critical_below`` (exclusive). An empty
    ``abis`` runs on all. ``refused_on``: version codes signed by another signer, on which a phone would
    refuse this release.
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
    inside: range = field(init=False, repr=False, compare=False)
    """The buckets of the devices inside the rollout."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "inside", buckets_inside(self.rollout, self.bucket_from))

    @property
    def may_be_mandatory(self) -> bool:
        """Whether the release by itself is mandatory for any device at any moment."""
        return self.is_mandatory or self.mandatory_from is not None or self.critical_below is not None

    @property
    def is_open_to_all(self) -> bool:
        """Whether the release is active and open to every device that can install it."""
        return self.state is ReleaseState.ACTIVE and self.rollout == FULL and not self.is_arm

    @property
    def min_os_numbers(self) -> tuple[int, ...]:
        return os_numbers(self.min_os)

    def has_started(self, now: datetime) -> bool:
        return self.starts_at is None or self.starts_at <= now

    def is_newer_than(self, current: CurrentVersion) -> bool:
        return compare_to_device(self.version_code, self.version, current) > 0

    def demands_update(self, current: CurrentVersion, now: datetime) -> bool:
        """Return whether a device on an older version must take this release or a newer one."""
        if self.is_mandatory or (self.mandatory_from is not None and self.mandatory_from <= now):
            return True
        return is_below(current, self.critical_below) and not is_below(current, self.critical_from)


class Draw(NamedTuple):
    """A partial rollout: the devices whose buckets for this salt are ``inside``."""

    salt: str
    inside: range


@dataclass(frozen=True, slots=True)
class Catalog:
    """The candidates of one app, platform and channel, newest version code first. Made by `Catalog.of`.

    ``floors`` come lowest version code first, and within one version newest release first.
    ``withdrawn_codes`` and ``withdrawn_names`` are the withdrawn versions. ``is_timed``: a candidate has not
    started yet. ``moments`` are the starts and deadlines to come, and ``draws`` the partial rollouts.
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
        """Put candidates in order. Among releases of one version, the newest release comes first.

        With ``at``, leave out the candidates that cannot change any answer from that moment on, so that a
        long history costs nothing. ``withdrawn`` are codes and names; a name that another version still has
        ``in_use`` does not identify a withdrawn version.
        """
        ordered = sorted(candidates, key=lambda c: (c.version_code, c.release_id), reverse=True)
        kept = tuple(ordered if at is None else _relevant(ordered, at))
        codes = dict(withdrawn)
        names = {parse_name(name) for name in set(codes.values()) - set(in_use)}
        floors = sorted((c for c in kept if c.is_floor), key=lambda c: (c.version_code, -c.release_id))
        return cls(
            candidates=kept,
            floors=tuple(floors),
            mandatory=tuple(c for c in kept if c.may_be_mandatory),
            is_timed=any(c.starts_at is not None if at is None else not c.has_started(at) for c in kept),
            is_shut_off=is_shut_off,
            withdrawn_codes=frozenset(codes),
            withdrawn_names=frozenset(name for name in names if name is not None),
            moments=_moments(kept, at),
            draws=_draws(kept),
        )

    def has_withdrawn(self, current: CurrentVersion) -> bool:
        """Return whether the device runs a withdrawn version."""
        if current.build is None:
            return current.name in self.withdrawn_names
        return current.build in self.withdrawn_codes

    def drawn(self, device_id: str | None) -> int:
        """Return the partial rollouts that the device is inside of, as one bit for each.

        Two checks that differ only in the device id and the moment get the same decision if both have the
        same bits and the same `stage`.
        """
        bits = 0
        if device_id:
            for salt, inside in self.draws:
                bits = bits << 1 | (bucket(salt, device_id) in inside)
        return bits

    def stage(self, now: datetime) -> int:
        """Return the number of moments that have passed."""
        return bisect_right(self.moments, now) if self.moments else 0

    def with_release(self, candidate: Candidate) -> Catalog:
        """Return the catalog as it would be with one more, or one changed, release."""
        others = [c for c in self.candidates if c.release_id != candidate.release_id]
        return replace(
            Catalog.of([*others, candidate]),
            is_shut_off=self.is_shut_off,
            withdrawn_codes=self.withdrawn_codes,
            withdrawn_names=self.withdrawn_names,
        )


def _moments(kept: Sequence[Candidate], at: datetime | None) -> tuple[datetime, ...]:
    known = {moment for c in kept for moment in (c.starts_at, c.mandatory_from) if moment is not None}
    return tuple(sorted(moment for moment in known if at is None or moment > at))


def _draws(kept: Sequence[Candidate]) -> tuple[Draw, ...]:
    """Return each partial rollout once, in the order of the candidates."""
    draws = (Draw(c.salt, c.inside) for c in kept if 0 < c.rollout < FULL)
    return tuple(dict.fromkeys(draws))


def _relevant(ordered: Sequence[Candidate], at: datetime) -> list[Candidate]:
    """Leave out candidates below a release that is open to every device that could install either.

    A floor is kept. Releases above it do not cover those below it, because devices stay below a closed floor.
    Skipped mandatory releases are kept too, down to the first one that makes the older ones unnecessary.
    """
    kept: list[Candidate] = []
    covers: list[Candidate] = []
    floors = {c.version_code for c in ordered if c.is_floor}
    for candidate in ordered:
        # By code: the floor's version can have another release, open on a channel where the floor is closed.
        if candidate.version_code in floors:
            covers = []
        if not _is_needless(candidate, covers):
            kept.append(candidate)
            if candidate.is_open_to_all and candidate.has_started(at):
                covers.append(candidate)
    return kept


def _is_needless(candidate: Candidate, covers: Sequence[Candidate]) -> bool:
    """Return whether a newer release covers the candidate, and its demand if it can be mandatory."""
    needs_mandatory = candidate.may_be_mandatory
    return any((each.is_mandatory or not needs_mandatory) and _covers(each, candidate) for each in covers)


def _covers(cover: Candidate, other: Candidate) -> bool:
    """Return whether every device that could be offered ``other`` is also offered the newer ``cover``."""
    name, other_name = parse_name(cover.version), parse_name(other.version)
    return (
        (cover.min_sdk or 0) <= (other.min_sdk or 0)
        and os_numbers(cover.min_os) <= os_numbers(other.min_os)
        and (not cover.abis or (bool(other.abis) and other.abis <= cover.abis))
        and cover.refused_on <= other.refused_on
        and (other_name is None or (name is not None and name >= other_name))
    )
