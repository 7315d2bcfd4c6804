"""A second, slow implementation of the decision, written from the semantics, to compare the real one with.

It has no catalog and no shortcuts: it judges every release by itself, and then applies the semantics one by
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ota.core.catalog import Candidate
from ota.core.decision import Decision, Offer, UpdateQuery
from ota.core.lifecycle import ReleaseState
from ota.core.platforms import os_numbers
from ota.core.rollout import bucket
from ota.core.versions import compare_to_device, is_below, parse_name

Answer = tuple[int | None, str, bool, bool]
"""The offered version code, the reason, whether it is mandatory, whether the device is blocked."""


def as_answer(decision: Decision) -> Answer:
    """Convert a real decision to the same form."""
    if isinstance(decision, Offer):
        return decision.candidate.version_code, decision.reason.value, decision.is_mandatory, False
    return None, decision.reason.value, False, decision.is_blocked


def answer(
    query: UpdateQuery, releases: Sequence[Candidate], now: datetime, is_shut_off: bool = False
) -> Answer:
    """Return the decision that the semantics require."""
    if is_shut_off:
        return None, "shut_off", False, False
    started = [c for c in releases if c.starts_at is None or c.starts_at <= now]
    newer = sorted(
        (c for c in started if is_newer(c, query)), key=lambda c: (c.version_code, c.release_id), reverse=True
    )
    if not newer:
        return None, why_nothing_newer(started, query), False, False
    for choice in newer:
        offer = step_towards(choice, newer, query)
        if isinstance(offer, Candidate):
            return offer.version_code, "update_available", is_mandatory(offer, newer, query, now), False
    return None, str(step_towards(newer[0], newer, query)), False, must_update(newer, query, now)


def is_newer(c: Candidate, query: UpdateQuery) -> bool:
    """Return whether the release is newer than the current version."""
    return compare_to_device(c.version_code, c.version, query.current) > 0


def step_towards(choice: Candidate, newer: Sequence[Candidate], query: UpdateQuery) -> Candidate | str:
    """Return the choice, or the lowest floor below it, or the reason why neither can be offered."""
    found = obstacle(choice, query)
    if found is not None:
        return found
    floors = [c for c in newer if c.is_floor and c.version_code < choice.version_code]
    if not floors:
        return choice
    lowest = min(c.version_code for c in floors)
    same = sorted((c for c in floors if c.version_code == lowest), key=lambda c: c.release_id, reverse=True)
    opened = [c for c in same if why_closed(c, query) is None]
    return opened[0] if opened else str(why_closed(same[0], query))


def why_closed(floor: Candidate, query: UpdateQuery) -> str | None:
    """Return why the floor is closed to the device. Its rollout only decides whether it is open at all."""
    is_open = floor.rollout > 0 or bool(floor.groups & query.groups)
    return unfit(floor, query) or stopped(floor) or (None if is_open else "not_in_rollout")


def why_nothing_newer(started: Sequence[Candidate], query: UpdateQuery) -> str:
    """Return the reason for a device than which no release is newer."""
    if not started:
        return "no_release"
    newest = max(started, key=lambda c: (c.version_code, c.release_id))
    if query.current.build is None and parse_name(newest.version) is None:
        return "not_comparable"
    if any(compare_to_device(c.version_code, c.version, query.current) == 0 for c in started):
        return "up_to_date"
    return "ahead"


def obstacle(c: Candidate, query: UpdateQuery) -> str | None:
    """Return why the device cannot be offered the release, or None if it can."""
    return unfit(c, query) or stopped(c) or (None if is_open_to(c, query) else "not_in_rollout")


def unfit(c: Candidate, query: UpdateQuery) -> str | None:
    """Return why the device could not install the release."""
    if c.min_sdk is not None and query.sdk is not None and query.sdk < c.min_sdk:
        return "os_too_old"
    if c.min_os is not None and query.os is not None and query.os < os_numbers(c.min_os):
        return "os_too_old"
    if c.abis and query.abis and not c.abis & query.abis:
        return "abi_unsupported"
    if query.current.build in c.refused_on:
        return "other_signer"
    return None


def stopped(c: Candidate) -> str | None:
    """Return the reason if the release is paused or halted."""
    return {ReleaseState.PAUSED: "paused", ReleaseState.HALTED: "halted"}.get(c.state)


def is_open_to(c: Candidate, query: UpdateQuery) -> bool:
    """Return whether the device is in a group, is drawn, or its user asked."""
    if c.groups & query.groups:
        return True
    if query.user_initiated and c.rollout > 0 and not c.is_arm:
        return True
    if c.rollout == 10_000:
        return True
    if not query.device_id:
        return False
    return c.bucket_from <= bucket(c.salt, query.device_id) < c.bucket_from + c.rollout


def is_mandatory(offer: Candidate, newer: Sequence[Candidate], query: UpdateQuery, now: datetime) -> bool:
    """Return whether a release up to the offer demands an update. Paused releases do, halted ones do not."""
    if is_below(query.current, offer.min_supported_version):
        return True
    skipped = [
        c for c in newer if c.version_code <= offer.version_code and (c is offer or is_open_to(c, query))
    ]
    return any(
        demands(c, query, now) and unfit(c, query) is None and c.state is not ReleaseState.HALTED
        for c in skipped
    )


def demands(c: Candidate, query: UpdateQuery, now: datetime) -> bool:
    """Return whether the release by itself is mandatory for the device."""
    if c.is_mandatory or (c.mandatory_from is not None and c.mandatory_from <= now):
        return True
    return is_below(query.current, c.critical_below) and not is_below(query.current, c.critical_from)


def must_update(newer: Sequence[Candidate], query: UpdateQuery, now: datetime) -> bool:
    """Return whether a device that is offered nothing would have to update without the obstacle.

    Only the newest release's minimum counts, because that release would be offered. Those of skipped releases
    do not.
    """
    opened = [c for c in newer if c.state is not ReleaseState.HALTED and is_open_to(c, query)]
    return any(demands(c, query, now) for c in opened) or any(
        is_below(query.current, c.min_supported_version) for c in opened[:1]
    )
