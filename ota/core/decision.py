"""The decision: what one device is offered, and why.

`decide` is the heart of the product. It is a pure function of a question, a catalog and a moment; everything that
answers devices goes through it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ota.core.lifecycle import ReleaseState
from ota.core.rollout import is_in_rollout
from ota.core.versions import CurrentVersion, compare_to_device, is_below, parse_name


class Reason(StrEnum):
    """Why a device got its answer. A closed list: each is documented, each is tested."""

    UPDATE_AVAILABLE = "update_available"
    UP_TO_DATE = "up_to_date"
    AHEAD = "ahead"
    NO_RELEASE = "no_release"
    NOT_IN_ROLLOUT = "not_in_rollout"
    PAUSED = "paused"
    HALTED = "halted"
    NOT_COMPARABLE = "not_comparable"


@dataclass(frozen=True, slots=True)
class UpdateQuery:
    """A device's question. The app, platform and channel were already used to pick the catalog."""

    current: CurrentVersion
    device_id: str | None = None
    user_initiated: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """One live release of a channel with what the decision needs of its version.

    ``rollout`` is in basis points, ``starts_at`` in UTC; ``state`` is one of `LIVE_STATES`.
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


@dataclass(frozen=True, slots=True)
class Catalog:
    """The candidates of one (app, platform, channel), newest version code first."""

    candidates: tuple[Candidate, ...]

    @classmethod
    def of(cls, candidates: Iterable[Candidate]) -> Catalog:
        """Put candidates in order; among releases of the same version the newest release comes first."""
        ordered = sorted(candidates, key=lambda c: (c.version_code, c.release_id), reverse=True)
        return cls(tuple(ordered))


@dataclass(frozen=True, slots=True)
class Offer:
    """The device shall be told about this version."""

    candidate: Candidate
    is_mandatory: bool
    reason: Reason = Reason.UPDATE_AVAILABLE


@dataclass(frozen=True, slots=True)
class NoUpdate:
    """The device shall stay where it is, for this reason. Blocked: it must update and nothing can be offered."""

    reason: Reason
    is_blocked: bool = False


Decision = Offer | NoUpdate


def decide(query: UpdateQuery, catalog: Catalog, now: datetime) -> Decision:
    """What to answer. ``now`` is an aware UTC time; the same arguments always give the same answer.

    The newest release that is open to the device wins; a device outside a partial rollout gets the next older release
    that is open to it. Nothing that isn't newer than what the device runs is ever offered.
    """
    started = [c for c in catalog.candidates if c.starts_at is None or c.starts_at <= now]
    first_obstacle: Reason | None = None
    for candidate in started:
        if compare_to_device(candidate.version_code, candidate.version, query.current) <= 0:
            continue
        obstacle = _obstacle(candidate, query)
        if obstacle is None:
            return Offer(candidate, _is_mandatory(candidate, started, query))
        first_obstacle = first_obstacle or obstacle
    return NoUpdate(first_obstacle or _why_nothing_newer(started, query), _is_blocked(started, query))


def latest_for_everybody(catalog: Catalog, now: datetime) -> Candidate | None:
    """The newest release that is open to every device: what ``GET /api/updates/latest`` shows."""
    started = (c for c in catalog.candidates if c.starts_at is None or c.starts_at <= now)
    return next((c for c in started if c.state is ReleaseState.ACTIVE and is_in_rollout(c.rollout, c.salt, None)), None)


def _obstacle(candidate: Candidate, query: UpdateQuery) -> Reason | None:
    if candidate.state is ReleaseState.PAUSED:
        return Reason.PAUSED
    if candidate.state is ReleaseState.HALTED:
        return Reason.HALTED
    if not _is_in_reach(candidate, query):
        return Reason.NOT_IN_ROLLOUT
    return None


def _is_in_reach(candidate: Candidate, query: UpdateQuery) -> bool:
    # "Check for updates" was pressed: the person asked, so the percentage does not hold them back; 0 is still nobody.
    if query.user_initiated and candidate.rollout > 0:
        return True
    return is_in_rollout(candidate.rollout, candidate.salt, query.device_id)


def _is_mandatory(chosen: Candidate, started: list[Candidate], query: UpdateQuery) -> bool:
    if is_below(query.current, chosen.min_supported_version):
        return True
    return any(
        c.is_mandatory
        and c.state is not ReleaseState.HALTED
        and c.version_code <= chosen.version_code
        and compare_to_device(c.version_code, c.version, query.current) > 0
        and _is_in_reach(c, query)
        for c in started
    )


def _is_blocked(started: list[Candidate], query: UpdateQuery) -> bool:
    # A pause hides a release that the device would have to take; a halted one is no longer asked of anybody.
    return any(
        (c.is_mandatory or is_below(query.current, c.min_supported_version))
        and c.state is ReleaseState.PAUSED
        and compare_to_device(c.version_code, c.version, query.current) > 0
        and _is_in_reach(c, query)
        for c in started
    )


def _why_nothing_newer(started: list[Candidate], query: UpdateQuery) -> Reason:
    if not started:
        return Reason.NO_RELEASE
    newest = started[0]
    if query.current.build is None and parse_name(newest.version) is None:
        return Reason.NOT_COMPARABLE
    is_older = compare_to_device(newest.version_code, newest.version, query.current) < 0
    return Reason.AHEAD if is_older else Reason.UP_TO_DATE
