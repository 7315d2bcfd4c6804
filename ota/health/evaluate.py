"""The tests of a release: the devices that each test observes, and what it finds.

What makes a release halt: once a minute `ota.releases.watch` calls `observe` and `run`. A test finds the
release bad when its evidence has reached its threshold with enough failing devices; the deciding line is
``is_bad`` in `ota.core.health_tests`, and the numbers are those of the app's policy (`ota.health.policy`).
`watch` records the finding, and then notifies, halts or rolls back, as the policy says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypedDict

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ota.core import health_members
from ota.core.health_members import ControlDay, Journey
from ota.core.health_tests import HealthVerdict, Point, with_control, without_control
from ota.core.health_votes import Member, Policy, Reported, reported
from ota.core.lifecycle import HealthTest
from ota.core.silence import at_risk_of_silence
from ota.models import Release, ReleaseDevice

_MAX_POINTS = 200
"""Points kept of a test's curve."""


class HealthFinding(NamedTuple):
    """What one test found about a release."""

    test: HealthTest
    verdict: HealthVerdict


class TestRecord(TypedDict):
    """A finding as it is stored.

    ``curve`` has at most about 200 points ``[seconds since 1970, rollout, control, failing rollout, failing
    control, evidence]``.
    """

    test: str
    evidence: float
    peak: float
    threshold: float
    rollout: int
    control: int
    failing_rollout: int
    failing_control: int
    curve: list[list[float]]


class ObservedDevices(NamedTuple):
    """The devices that enrolled in a release, or in its control group, since a test began.

    ``drawn`` are those of ``journeys`` that the draw included. ``regular`` are the regular devices of both
    sides, in the form in which silence is tested.
    """

    journeys: Sequence[Journey]
    drawn: Sequence[Journey]
    control_days: Sequence[ControlDay]
    regular: Sequence[Member]


def observe(session: Session, release: Release, policy: Policy, since: datetime) -> ObservedDevices:
    """Read the devices that vote. A device that was not known before the release started votes in no test."""
    journeys, drawn, control_days, regular_days = [], [], [], []
    regular: list[Member] = []
    for row in session.execute(_rows(release, since)):
        last_check = None if row.silent_at is None else row.silent_at - policy.silence
        if row.is_control:
            day = ControlDay(row.device_id, row.enrolled_at, row.crashed_at or row.failed_at, row.left_at)
            control_days.append(day)
            if row.is_regular:
                regular_days.append(day._replace(failed_at=last_check))
            continue
        journey = _journey(row)
        journeys.append(journey)
        if row.is_drawn:
            drawn.append(journey)
        if row.is_drawn and row.is_regular and row.offered_at is not None and row.offered_at >= since:
            regular.append(Member(row.offered_at, last_check, left_at=row.left_at))
    regular += health_members.control(regular_days, policy)
    return ObservedDevices(journeys, drawn, control_days, at_risk_of_silence(regular, policy.silence))


def run(release: Release, observed: ObservedDevices, policy: Policy, now: datetime) -> list[HealthFinding]:
    """Run each test that has devices to observe.

    The tests share alpha in equal parts, so that all of them together find a good release bad with at most
    that probability. The acceptable rate is applied to devices that have no control group: all devices if
    there is none, else those that came when the release was open to all.
    """
    shared = replace(policy, alpha=policy.alpha / (3 if policy.silence else 2))
    found = []
    if observed.control_days:
        rollout = (health_members.compared(each, policy) for each in observed.drawn)
        control = health_members.control(observed.control_days, policy)
        found.append(HealthFinding(HealthTest.CONTROL, with_control([*rollout, *control], shared, now)))
    uncontrolled = _without_control_group(release, observed)
    if uncontrolled or not found:
        members = (health_members.alone(each, policy) for each in uncontrolled)
        found.append(HealthFinding(HealthTest.ALONE, without_control(members, shared, now)))
    if policy.silence and any(each.is_control for each in observed.regular):
        found.append(HealthFinding(HealthTest.SILENCE, with_control(observed.regular, shared, now)))
    return found


def count_reported(session: Session, release: Release, policy: Policy, now: datetime) -> Reported:
    """Count the devices that have installed the release, and those of them whose health is known.

    Includes devices from before a person resumed the release.
    """
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
    return reported(installed, policy, now)


def is_suspect(release: Release, observed: ObservedDevices, policy: Policy, now: datetime) -> bool:
    """Whether the release would be bad with reports that have not settled yet.

    No plan should go on meanwhile.
    """
    unsettled = run(release, observed, replace(policy, settling=timedelta(0)), now)
    return any(each.verdict.is_bad for each in unsettled)


def leading(found: Sequence[HealthFinding]) -> HealthFinding:
    """Return the finding that is shown first: the first bad one, else the one with the most evidence."""
    for each in found:
        if each.verdict.is_bad:
            return each
    return max(found, key=lambda each: each.verdict.evidence)


def record_of(found: HealthFinding) -> TestRecord:
    """Return the finding as it is stored."""
    verdict = found.verdict
    return TestRecord(
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


def _rows(release: Release, since: datetime) -> Select[*tuple[Any, ...]]:
    row = ReleaseDevice
    return (
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


def _journey(row: Any) -> Journey:
    return Journey(
        row.enrolled_at, row.installed_at, row.failed_at, row.crashed_at, row.left_at, row.healthy_at
    )


def _without_control_group(release: Release, observed: ObservedDevices) -> Sequence[Journey]:
    """The journeys that no control group can be compared with."""
    if not observed.control_days:
        return observed.journeys
    full_since = release.full_since
    return [each for each in observed.journeys if full_since is not None and each.offered_at >= full_since]


def _thinned(curve: Sequence[Point]) -> Sequence[Point]:
    """About `_MAX_POINTS` points of the curve, with the first, the last and the highest."""
    if len(curve) <= _MAX_POINTS:
        return curve
    step = len(curve) / (_MAX_POINTS - 2)
    kept = {*(int(number * step) for number in range(_MAX_POINTS - 2)), len(curve) - 1}
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
