"""The decision: what one device is offered, and why.

`decide` is the heart of the product. It is a pure function of a question, a catalog and a moment; everything that
answers devices goes through it. `ota.core.explanation` puts its steps into words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ota.core.catalog import Candidate, Catalog
from ota.core.lifecycle import ReleaseState
from ota.core.rollout import bucket
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
    SHUT_OFF = "shut_off"
    OS_TOO_OLD = "os_too_old"
    ABI_UNSUPPORTED = "abi_unsupported"
    OTHER_SIGNER = "other_signer"
    NOT_COMPARABLE = "not_comparable"


class Rule(StrEnum):
    """One thing that is looked at on the way to a decision."""

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
    """A device's question. The app, platform and channel were already used to pick the catalog.

    ``groups`` are the ids of the device groups it belongs to. What a device did not say of its system (``sdk``, ``os`` as numbers,
    ``abis``) holds nothing back.
    """

    current: CurrentVersion
    device_id: str | None = None
    user_initiated: bool = False
    groups: frozenset[int] = frozenset()
    sdk: int | None = None
    os: tuple[int, ...] | None = None
    abis: frozenset[str] = frozenset()


class Offer(NamedTuple):
    """The device shall be told about this version."""

    candidate: Candidate
    is_mandatory: bool
    reason: Reason = Reason.UPDATE_AVAILABLE


class NoUpdate(NamedTuple):
    """The device shall stay where it is, for this reason. Blocked: it must update and nothing can be offered."""

    reason: Reason
    is_blocked: bool = False


Decision = Offer | NoUpdate


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that was looked at: about which release (None: about the question as a whole) and whether it let the device on."""

    rule: Rule
    candidate: Candidate | None
    is_passed: bool
    detail: int | str | None = None


Trace = list[Step]


def decide(query: UpdateQuery, catalog: Catalog, now: datetime, trace: Trace | None = None) -> Decision:
    """What to answer. ``now`` is an aware UTC time; the same arguments always give the same answer.

    The newest release that is open to the device wins; a device outside a partial rollout gets the next older release
    that is open to it. Nothing that isn't newer than what the device runs is ever offered, and no floor is jumped. ``trace`` is
    filled with the rules in the order in which they were looked at.
    """
    if trace is not None:
        trace.append(Step(Rule.SHUT_OFF, None, not catalog.is_shut_off))
    if catalog.is_shut_off:
        return NoUpdate(Reason.SHUT_OFF)
    started = _started(catalog, now, trace)
    obstacle: Reason | None = None
    for candidate in started:
        if not _is_newer(candidate, query):
            if query.current.build is not None and trace is None:
                break  # Sorted by code: what follows is older still.
            if trace is not None:
                trace.append(Step(Rule.NEWER, candidate, is_passed=False))
            continue
        if trace is not None:
            trace.append(Step(Rule.NEWER, candidate, is_passed=True))
        found = _obstacle(candidate, query, trace)
        if found is None:
            step, found = _next_step(candidate, query, catalog, now, trace)
            if step is not None:
                return Offer(step, _is_mandatory(step, query, catalog, now, trace))
        obstacle = obstacle or found
    is_blocked = obstacle is not None and _is_blocked(started, query, now, trace)
    return NoUpdate(obstacle or _why_nothing_newer(started, query), is_blocked)


def latest_for_everybody(catalog: Catalog, now: datetime) -> Candidate | None:
    """The newest release that is open to every device: what ``GET /api/updates/latest`` shows."""
    if catalog.is_shut_off:
        return None
    return next((c for c in catalog.candidates if c.is_open_to_all and c.has_started(now)), None)


def could_install(candidate: Candidate, query: UpdateQuery) -> bool:
    """Would the device's phone take the release, whoever it is open to?"""
    return _misfit(candidate, query) is None


def _started(catalog: Catalog, now: datetime, trace: Trace | None) -> Sequence[Candidate]:
    if not catalog.is_timed:
        return catalog.candidates
    if trace is not None:
        trace.extend(
            Step(Rule.SCHEDULE, c, is_passed=False) for c in catalog.candidates if not c.has_started(now)
        )
    return [c for c in catalog.candidates if c.has_started(now)]


def _is_newer(candidate: Candidate, query: UpdateQuery) -> bool:
    return compare_to_device(candidate.version_code, candidate.version, query.current) > 0


def _obstacle(candidate: Candidate, query: UpdateQuery, trace: Trace | None = None) -> Reason | None:
    """Why the device is not offered this release, which is newer than what it runs. None: it is open to the device."""
    found = _misfit(candidate, query, trace) or _stopped(candidate, trace)
    return found or (None if _is_in_reach(candidate, query, trace) else Reason.NOT_IN_ROLLOUT)


def _misfit(candidate: Candidate, query: UpdateQuery, trace: Trace | None = None) -> Reason | None:
    """What makes the phone refuse to install it."""
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
    """A pause and a halt hold for everybody, also for testers and for those who ask by hand."""
    if trace is not None:
        trace.append(Step(Rule.STATE, candidate, candidate.state is ReleaseState.ACTIVE))
    if candidate.state is ReleaseState.PAUSED:
        return Reason.PAUSED
    return Reason.HALTED if candidate.state is ReleaseState.HALTED else None


def _is_in_reach(candidate: Candidate, query: UpdateQuery, trace: Trace | None = None) -> bool:
    """Is the device one of those that the release is opened to?"""
    if candidate.groups and not candidate.groups.isdisjoint(query.groups):
        return _noted(trace, Rule.GROUP, candidate, is_passed=True)
    if candidate.rollout >= 10_000:
        return _noted(trace, Rule.ROLLOUT, candidate, is_passed=True)
    # "Check for updates" was pressed: the person asked, so the percentage does not hold them back; 0 is still nobody, and
    # an experiment's device stays in its arm.
    if query.user_initiated and candidate.rollout > 0 and not candidate.is_arm:
        return _noted(trace, Rule.USER_INITIATED, candidate, is_passed=True)
    if candidate.rollout <= 0 or not query.device_id:
        return _noted(trace, Rule.ROLLOUT, candidate, is_passed=False)
    number = bucket(candidate.salt, query.device_id)
    is_in = candidate.bucket_from <= number < candidate.bucket_from + candidate.rollout
    return _noted(trace, Rule.ROLLOUT, candidate, is_in, number)


def _next_step(
    chosen: Candidate, query: UpdateQuery, catalog: Catalog, now: datetime, trace: Trace | None
) -> tuple[Candidate | None, Reason | None]:
    """The chosen release, or the lowest floor between it and the device; None with the reason where that floor is closed.

    A floor lets everybody through whom it stands in the way of: its rollout only says whether it is open at all. Where its version
    stands on two channels, one open way will do.
    """
    lowest: Candidate | None = None
    closed: Reason | None = None
    for floor in catalog.floors:
        if floor.version_code >= chosen.version_code or (
            lowest is not None and floor.version_code > lowest.version_code
        ):
            break
        if not floor.has_started(now) or not _is_newer(floor, query):
            continue
        found = _misfit(floor, query) or _stopped(floor)
        if found is None and floor.rollout == 0 and floor.groups.isdisjoint(query.groups):
            found = Reason.NOT_IN_ROLLOUT
        if trace is not None:
            trace.append(Step(Rule.FLOOR, floor, found is None, found))
        if found is None:
            return floor, None
        lowest, closed = floor, closed or found
    return (chosen, None) if closed is None else (None, closed)


def _is_mandatory(
    chosen: Candidate, query: UpdateQuery, catalog: Catalog, now: datetime, trace: Trace | None
) -> bool:
    if is_below(query.current, chosen.min_supported_version):
        return _noted(trace, Rule.MANDATORY, chosen, is_passed=True, detail="min_supported_version")
    for candidate in catalog.mandatory:
        if (
            candidate.version_code <= chosen.version_code
            and candidate.state is not ReleaseState.HALTED
            and candidate.has_started(now)
            and _is_newer(candidate, query)
            and _demands(candidate, query, now)
            and _misfit(candidate, query) is None
            and (candidate is chosen or _is_in_reach(candidate, query))
        ):
            return _noted(trace, Rule.MANDATORY, candidate, is_passed=True)
    return _noted(trace, Rule.MANDATORY, chosen, is_passed=False)


def _demands(candidate: Candidate, query: UpdateQuery, now: datetime) -> bool:
    """Must a device on this version take the release or a newer one?"""
    if candidate.is_mandatory or (candidate.mandatory_from is not None and candidate.mandatory_from <= now):
        return True
    return is_below(query.current, candidate.critical_below) and not is_below(
        query.current, candidate.critical_from
    )


def _is_blocked(started: Sequence[Candidate], query: UpdateQuery, now: datetime, trace: Trace | None) -> bool:
    # Nothing can be offered: does a release, which is not halted, demand to be taken all the same? The minimum counts of the one
    # that would be offered, the newest: that of a skipped release does not count for an offer either.
    is_first = True
    for candidate in started:
        if (
            candidate.state is ReleaseState.HALTED
            or not _is_newer(candidate, query)
            or not _is_in_reach(candidate, query)
        ):
            continue
        if _demands(candidate, query, now) or (
            is_first and is_below(query.current, candidate.min_supported_version)
        ):
            return _noted(trace, Rule.BLOCKED, candidate, is_passed=True)
        is_first = False
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


def _noted(
    trace: Trace | None, rule: Rule, candidate: Candidate, is_passed: bool, detail: int | str | None = None
) -> bool:
    if trace is not None:
        trace.append(Step(rule, candidate, is_passed, detail))
    return is_passed
