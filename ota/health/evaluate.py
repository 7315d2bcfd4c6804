"""The tests of a release: whom each of them looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple, TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.core import health_members
from ota.core.health_members import Turn, Way
from ota.core.health_tests import (
    Member,
    Point,
    Policy,
    Reported,
    Verdict,
    reported,
    with_control,
    without_control,
)
from ota.core.lifecycle import HealthTest
from ota.core.silence import at_risk_of_silence
from ota.models import Release, ReleaseDevice

_POINTS = 200


class Found(NamedTuple):
    """What a test says of a release."""

    test: HealthTest
    verdict: Verdict


class Told(TypedDict):
    """The same as it is kept. ``curve`` has at most some hundred points: ``[seconds since 1970, rollout, control, failing rollout,
    failing control, evidence]``."""

    test: str
    evidence: float
    peak: float
    threshold: float
    rollout: int
    control: int
    failing_rollout: int
    failing_control: int
    curve: list[list[float]]


class Crowd(NamedTuple):
    """The devices that enrolled in a release, and in its control, since a test began; ``drawn``: those that the draw let in.
    ``regular`` are those that normally call, in the form in which silence is tested."""

    ways: Sequence[Way]
    drawn: Sequence[Way]
    turns: Sequence[Turn]
    regular: Sequence[Member]


def crowd(session: Session, release: Release, policy: Policy, since: datetime) -> Crowd:
    """Those who count. An id that was not known before the release started votes in no test."""
    row = ReleaseDevice
    query = (
        select(
            row.device_id,
            row.is_control,
            row.is_drawn,
            row.is_regular,
            row.offered_at,
            row.silent_at,
            row.enrolled_at,
            row.installed_at,
            row.failed_at,
            row.crashed_at,
            row.left_at,
            row.healthy_at,
        )
        .where(row.release_id == release.id, row.enrolled_at >= since, row.is_known)
        .order_by(row.device_id, row.turn)
    )
    ways, drawn, turns, regular, calling = [], [], [], list[Member](), []
    for each in session.execute(query):
        if each.is_control:
            turn = Turn(each.device_id, each.enrolled_at, each.crashed_at or each.failed_at, each.left_at)
            turns.append(turn)
            if each.is_regular:
                calling.append(turn._replace(failed_at=_last_call(each.silent_at, policy)))
            continue
        way = Way(
            each.enrolled_at,
            each.installed_at,
            each.failed_at,
            each.crashed_at,
            each.left_at,
            each.healthy_at,
        )
        ways.append(way)
        if each.is_drawn:
            drawn.append(way)
        if each.is_drawn and each.is_regular and each.offered_at is not None and each.offered_at >= since:
            regular.append(Member(each.offered_at, _last_call(each.silent_at, policy), left_at=each.left_at))
    return Crowd(
        ways,
        drawn,
        turns,
        at_risk_of_silence([*regular, *health_members.control(calling, policy)], policy.silence),
    )


def _last_call(silent_at: datetime | None, policy: Policy) -> datetime | None:
    return None if silent_at is None else silent_at - policy.silence


def run(release: Release, seen: Crowd, policy: Policy, now: datetime) -> list[Found]:
    """Each test that can say something. They share the alpha in equal parts, so that whichever speaks, a good release is called bad
    with that probability at most.

    Against the acceptable rate are held those that nobody can be compared with: all where there is no control, else those that came when
    the release was open to everybody.
    """
    shared = replace(policy, alpha=policy.alpha / (3 if policy.silence else 2))
    found = []
    if seen.turns:
        beside = health_members.control(seen.turns, policy)
        found.append(
            Found(
                HealthTest.CONTROL,
                with_control(
                    [*(health_members.compared(way, policy) for way in seen.drawn), *beside], shared, now
                ),
            )
        )
    full_since = release.full_since
    ways = [
        way
        for way in seen.ways
        if not seen.turns or (full_since is not None and way.offered_at >= full_since)
    ]
    if ways or not found:
        found.append(
            Found(
                HealthTest.ALONE,
                without_control((health_members.alone(way, policy) for way in ways), shared, now),
            )
        )
    if policy.silence and any(each.is_control for each in seen.regular):
        found.append(Found(HealthTest.SILENCE, with_control(seen.regular, shared, now)))
    return found


def decided(session: Session, release: Release, policy: Policy, now: datetime) -> Reported:
    """Of how many of all devices that have installed the release it is known how they do, also before a person resumed it."""
    row = ReleaseDevice
    query = select(row.installed_at, row.failed_at, row.left_at, row.healthy_at)
    rows = session.execute(
        query.where(row.release_id == release.id, row.is_control.is_(False), row.installed_at.is_not(None))
    )
    installed = [
        Member(at, failed_at, left_at=left_at, healthy_at=healthy_at)
        for at, failed_at, left_at, healthy_at in rows
        if at
    ]
    return reported(installed, policy, now, 0.0)


def is_suspect(release: Release, seen: Crowd, policy: Policy, now: datetime) -> bool:
    """Would the release be bad with what was reported last? That may not be the whole truth yet, but no plan should go on over it."""
    return any(
        each.verdict.is_bad for each in run(release, seen, replace(policy, settling=timedelta(0)), now)
    )


def speaking(found: Sequence[Found]) -> Found:
    """The one that is told first: the first that calls the release bad, else the one with the most evidence."""
    for each in found:
        if each.verdict.is_bad:
            return each
    return max(found, key=lambda each: each.verdict.evidence)


def told(found: Found) -> Told:
    verdict = found.verdict
    return Told(
        test=found.test.value,
        evidence=verdict.evidence,
        peak=verdict.peak,
        threshold=verdict.threshold,
        rollout=verdict.rollout,
        control=verdict.control,
        failing_rollout=verdict.failing_rollout,
        failing_control=verdict.failing_control,
        curve=[_plain_point(each) for each in _thinned(verdict.curve)],
    )


def _thinned(curve: Sequence[Point]) -> Sequence[Point]:
    """At most so many points, with the first, the last and the highest."""
    if len(curve) <= _POINTS:
        return curve
    step = len(curve) / (_POINTS - 2)
    kept = {*(int(number * step) for number in range(_POINTS - 2)), len(curve) - 1}
    kept.add(max(range(len(curve)), key=lambda place: curve[place].evidence))
    return [curve[place] for place in sorted(kept)]


def _plain_point(point: Point) -> list[float]:
    return [
        point.at.timestamp(),
        point.rollout,
        point.control,
        point.failing_rollout,
        point.failing_control,
        round(point.evidence, 6),
    ]
