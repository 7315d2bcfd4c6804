"""The decision: what one device is offered, and why.

`decide` is a pure function of a question, a catalog and a moment. Every answer to a device comes from it.
`ota.core.explanation` puts its steps into words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ota.core.catalog import Candidate, Catalog
from ota.core.lifecycle import ReleaseState
from ota.core.rollout import FULL, bucket
from ota.core.versions import CurrentVersion, compare_to_device, is_below, parse_name


class Reason(StrEnum):
    """Why a device got its answer. A closed list: each reason is documented and tested."""

    UPDATE_AVAILABLE = "update_available"
    UP_TO_DATE = "up_to_date"
    AHEAD = "ahead"
    NO_RELEASE = "no_release"
    NOT_IN_ROLLOUT = "not_in_rollout"
    PAUSED = "paused"
    HALTED = "halted"
    SHUT_OFF = "shut_off"
    OS_TOO_OLD = "os_too_old"
    ABI_UNSUPPORTED = "abi_unsupported"
    OTHER_SIGNER = "other_signer"
    NOT_COMPARABLE = "not_comparable"


class Rule(StrEnum):
    """One criterion of the decision."""

    SHUT_OFF = "shut_off"
    SCHEDULE = "schedule"
    NEWER = "newer"
    OS = "minimum_os"
    ABI = "abi"
    SIGNER = "signer"
    STATE = "state"
    GROUP = "group"
    ROLLOUT = "rollout"
    USER_INITIATED = "user_initiated"
    FLOOR = "floor"
    MANDATORY = "mandatory"
    BLOCKED = "blocked"
    WITHDRAWN = "withdrawn"


class UpdateQuery(NamedTuple):
    """A device's question. Its app, platform and channel have already selected the catalog.

    ``groups`` are the ids of the device groups that it belongs to. Unknown properties of its system (``sdk``,
    ``os`` as numbers, ``abis``) exclude it from nothing.
    """

    current: CurrentVersion
    device_id: str | None = None
    user_initiated: bool = False
    groups: frozenset[int] = frozenset()
    sdk: int | None = None
    os: tuple[int, ...] | None = None
    abis: frozenset[str] = frozenset()


class Offer(NamedTuple):
    """The device is offered this version."""

    candidate: Candidate
    is_mandatory: bool
    reason: Reason = Reason.UPDATE_AVAILABLE


class NoUpdate(NamedTuple):
    """The device is offered nothing, for this reason. Blocked: it must update and nothing can be offered."""

    reason: Reason
    is_blocked: bool = False


Decision = Offer | NoUpdate


@dataclass(frozen=True, slots=True)
class Step:
    """One rule applied to one release (None: to the whole question), and whether the device passed it."""

    rule: Rule
    candidate: Candidate | None
    is_passed: bool
    detail: int | str | None = None


Trace = list[Step]


def decide(query: UpdateQuery, catalog: Catalog, now: datetime, trace: Trace | None = None) -> Decision:
    """Decide what a device is offered. ``now`` is an aware UTC time. Equal arguments give equal decisions.

    The newest release that is open to the device wins, so a device outside a partial rollout gets the next
    older release that is open to it. Nothing is offered that is not newer than the current version, and no
    floor is jumped. ``trace`` receives the rules in the order in which they were applied.
    """
    if trace is not None:
        trace.append(Step(Rule.SHUT_OFF, None, not catalog.is_shut_off))
    if catalog.is_shut_off:
        return NoUpdate(Reason.SHUT_OFF)
    started = _started(catalog, now, trace)
    first_obstacle: Reason | None = None
    for candidate in started:
        if not candidate.is_newer_than(query.current):
            if query.current.build is not None and trace is None:
                break  # Sorted by version code: the rest is older still.
            if trace is not None:
                trace.append(Step(Rule.NEWER, candidate, is_passed=False))
            continue
        if trace is not None:
            trace.append(Step(Rule.NEWER, candidate, is_passed=True))
        obstacle = _obstacle(candidate, query, trace)
        if obstacle is None:
            offered, obstacle = _floor_or_chosen(candidate, query, catalog, now, trace)
            if offered is not None:
                return Offer(offered, _is_mandatory(offered, query, catalog, now, trace))
        first_obstacle = first_obstacle or obstacle
    is_blocked = first_obstacle is not None and _is_blocked(started, query, now, trace)
    return NoUpdate(first_obstacle or _why_nothing_newer(started, query), is_blocked)


def latest_for_everybody(catalog: Catalog, now: datetime) -> Candidate | None:
    """Return the newest release that is open to every device, as ``GET /api/updates/latest`` shows it."""
    if catalog.is_shut_off:
        return None
    return next((c for c in catalog.candidates if c.is_open_to_all and c.has_started(now)), None)


def could_install(candidate: Candidate, query: UpdateQuery) -> bool:
    """Return whether the phone would accept the release, no matter to which devices it is open."""
    return _misfit(candidate, query) is None


def _started(catalog: Catalog, now: datetime, trace: Trace | None) -> Sequence[Candidate]:
    if not catalog.is_timed:
        return catalog.candidates
    if trace is not None:
        scheduled = (c for c in catalog.candidates if not c.has_started(now))
        trace.extend(Step(Rule.SCHEDULE, candidate, is_passed=False) for candidate in scheduled)
    return [c for c in catalog.candidates if c.has_started(now)]


def _obstacle(candidate: Candidate, query: UpdateQuery, trace: Trace | None = None) -> Reason | None:
    """Return why the device is not offered this newer release. None: it is open to the device."""
    found = _misfit(candidate, query, trace) or _stopped(candidate, trace)
    return found or (None if _is_open_to(candidate, query, trace) else Reason.NOT_IN_ROLLOUT)


def _misfit(candidate: Candidate, query: UpdateQuery, trace: Trace | None = None) -> Reason | None:
    """Return the reason for which the phone would refuse to install the release."""
    is_old = candidate.min_sdk is not None and query.sdk is not None and query.sdk < candidate.min_sdk
    is_old = is_old or (query.os is not None and query.os < candidate.min_os_numbers)
    has_no_code = bool(candidate.abis and query.abis) and candidate.abis.isdisjoint(query.abis)
    is_foreign = query.current.build in candidate.refused_on
    if trace is not None:
        if candidate.min_sdk is not None or candidate.min_os is not None:
            trace.append(Step(Rule.OS, candidate, not is_old, candidate.min_os or candidate.min_sdk))
        if candidate.abis and not is_old:
            trace.append(Step(Rule.ABI, candidate, not has_no_code))
        if candidate.refused_on and not (is_old or has_no_code):
            trace.append(Step(Rule.SIGNER, candidate, not is_foreign))
    if is_old:
        return Reason.OS_TOO_OLD
    if has_no_code:
        return Reason.ABI_UNSUPPORTED
    return Reason.OTHER_SIGNER if is_foreign else None


def _stopped(candidate: Candidate, trace: Trace | None = None) -> Reason | None:
    """Return the reason if the release is paused or halted, to which there are no exceptions."""
    if trace is not None:
        trace.append(Step(Rule.STATE, candidate, candidate.state is ReleaseState.ACTIVE))
    if candidate.state is ReleaseState.ACTIVE:
        return None
    return Reason.PAUSED if candidate.state is ReleaseState.PAUSED else Reason.HALTED


def _is_open_to(candidate: Candidate, query: UpdateQuery, trace: Trace | None = None) -> bool:
    """Return whether the release is open to the device: by its group, by its user or by its bucket."""
    rule, is_open, number = Rule.ROLLOUT, True, None
    if candidate.groups and not candidate.groups.isdisjoint(query.groups):
        rule = Rule.GROUP
    elif query.user_initiated and 0 < candidate.rollout < FULL and not candidate.is_arm:
        # A user who pressed "Check for updates" bypasses the percentage. Zero is still closed to all, and a
        # device of an experiment stays in its arm.
        rule = Rule.USER_INITIATED
    elif candidate.rollout < FULL:
        is_open = False
        if query.device_id and candidate.rollout > 0:
            number = bucket(candidate.salt, query.device_id)
            is_open = number in candidate.inside
    if trace is not None:
        trace.append(Step(rule, candidate, is_open, number))
    return is_open


def _floor_or_chosen(
    chosen: Candidate, query: UpdateQuery, catalog: Catalog, now: datetime, trace: Trace | None
) -> tuple[Candidate | None, Reason | None]:
    """Return the lowest floor between the device and the chosen release, else the chosen release.

    If that floor is closed, return None and its reason. A floor lets every device below it through: its
    rollout only decides whether it is open at all. If its version has a release on two channels, one open
    release is enough.
    """
    lowest: Candidate | None = None
    closed: Reason | None = None
    for floor in catalog.floors:
        is_higher = lowest is not None and floor.version_code > lowest.version_code
        if is_higher or floor.version_code >= chosen.version_code:
            break
        if not floor.has_started(now) or not floor.is_newer_than(query.current):
            continue
        obstacle = _misfit(floor, query) or _stopped(floor)
        if obstacle is None and floor.rollout == 0 and floor.groups.isdisjoint(query.groups):
            obstacle = Reason.NOT_IN_ROLLOUT
        _note(trace, Rule.FLOOR, floor, obstacle is None, obstacle)
        if obstacle is None:
            return floor, None
        lowest, closed = floor, closed or obstacle
    return (chosen, None) if closed is None else (None, closed)


def _is_mandatory(
    offered: Candidate, query: UpdateQuery, catalog: Catalog, now: datetime, trace: Trace | None
) -> bool:
    """Return whether the offer is mandatory, by itself or because of a mandatory release that it skips."""
    if is_below(query.current, offered.min_supported_version):
        return _note(trace, Rule.MANDATORY, offered, is_passed=True, detail="min_supported_version")
    for candidate in catalog.mandatory:
        if (
            candidate.version_code <= offered.version_code
            and candidate.state is not ReleaseState.HALTED
            and candidate.has_started(now)
            and candidate.is_newer_than(query.current)
            and candidate.demands_update(query.current, now)
            and _misfit(candidate, query) is None
            and (candidate is offered or _is_open_to(candidate, query))
        ):
            return _note(trace, Rule.MANDATORY, candidate, is_passed=True)
    return _note(trace, Rule.MANDATORY, offered, is_passed=False)


def _is_blocked(started: Sequence[Candidate], query: UpdateQuery, now: datetime, trace: Trace | None) -> bool:
    """Return whether a device that is offered nothing must update: a release that is not halted demands it.

    The supported minimum counts only for the newest such release. The minimum of a skipped release does not
    count for an offer either.
    """
    is_newest = True
    for candidate in started:
        if candidate.state is ReleaseState.HALTED or not candidate.is_newer_than(query.current):
            continue
        if not _is_open_to(candidate, query):
            continue
        is_unsupported = is_newest and is_below(query.current, candidate.min_supported_version)
        if is_unsupported or candidate.demands_update(query.current, now):
            return _note(trace, Rule.BLOCKED, candidate, is_passed=True)
        is_newest = False
    return False


def _why_nothing_newer(started: Sequence[Candidate], query: UpdateQuery) -> Reason:
    if not started:
        return Reason.NO_RELEASE
    newest = started[0]
    if query.current.build is None and parse_name(newest.version) is None:
        return Reason.NOT_COMPARABLE
    # Without a build number the names decide, and the newest code need not have the highest name.
    is_there = any(compare_to_device(c.version_code, c.version, query.current) == 0 for c in started)
    return Reason.UP_TO_DATE if is_there else Reason.AHEAD


def _note(
    trace: Trace | None, rule: Rule, candidate: Candidate, is_passed: bool, detail: int | str | None = None
) -> bool:
    """Append a step to the trace, if there is one, and return ``is_passed``."""
    if trace is not None:
        trace.append(Step(rule, candidate, is_passed, detail))
    return is_passed
