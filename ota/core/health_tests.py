"""Is a release worse than the policy tolerates? Two tests that stay valid under continuous monitoring.

A plain rule ("more than twice the usual crashes") that is evaluated again and again halts good releases
sooner or later. Both tests keep a number E, the evidence against the release. E is 1 at the start, and no
good release can expect it to rise (a nonnegative supermartingale, an "e-process"). By Ville's inequality
(1939), such a number ever reaches 1/alpha with probability alpha at most. So a good release is halted with
probability alpha at most, however often it is evaluated.

* ``with_control``: did a failure come from the rollout or from the control group? This is a coin whose bias
  follows from the numbers at risk: the sequential probability ratio of Wald (1945) on the partial likelihood,
  as in the safe logrank test (ter Schure, Perez-Ortiz, Ly and Gruenwald, 2020), mixed over alternatives as in
  always-valid inference (Robbins 1970; Johari, Koomen, Pekelis and Walsh 2017).
* ``without_control``: the same mixture of likelihood ratios on "failed or not", device by device in order of
  enrollment.

All times of members must come from `ota.core.health_votes.placed_at`. Then a result never changes back, and a
halt can be kept at no cost.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from ota.core.health_votes import Member, Policy

ALTERNATIVES = (1.3, 1.7, 2.2, 3.0, 4.0, 5.5, 7.5, 10.0, 14.0, 20.0)
"""How many times worse than tolerated a bad release can be. The evidence is the mean over them."""

_LOGS = tuple(math.log(times) for times in ALTERNATIVES)
_MAX_EXPONENT = 690.0
"""The largest exponent, which bounds the evidence at about 1e299."""


class Point(NamedTuple):
    """One step of the curve: the numbers at risk just before ``at``, the failures and the evidence at it."""

    at: datetime
    rollout: int
    control: int
    failing_rollout: int
    failing_control: int
    evidence: float


@dataclass(frozen=True, slots=True)
class HealthVerdict:
    """The result of a test. Its numbers are those of the last point.

    ``peak`` is the highest evidence with enough failing devices. ``curve`` is empty before the first
    enrollment; then it has a point for that enrollment, one for each failure, and one for the end.
    """

    is_bad: bool
    evidence: float
    peak: float
    threshold: float
    failing_rollout: int
    failing_control: int
    rollout: int
    control: int
    curve: tuple[Point, ...]


def with_control(members: Iterable[Member], policy: Policy, now: datetime) -> HealthVerdict:
    """Test whether the rollout fails more than ``tolerated_ratio`` times as often as the control group.

    A device is at risk from its enrollment until it fails, leaves, or its window ends. Let n_c and n_k
    devices of the rollout and the control group be at risk just before a failure. If the release is good, the
    failure comes from the rollout with probability q0 = r*n_c / (r*n_c + n_k) at most, with r the tolerated
    ratio. If the release is m times worse, the probability is q_m, with m*r in place of r. Each failure
    multiplies E_m by q_m/q0 or by (1-q_m)/(1-q0), and E is the mean of all E_m. While nobody on one side is
    at risk, a failure proves nothing and both factors are 1. Of failures at the same moment, those of the
    control group come first.

    A release is bad if E reached 1/alpha at any time while at least ``min_failing_devices`` of its devices
    had failed. O(n log n) in the members.
    """
    end = now - policy.settling
    rollout, control = _sides(members, policy.window, end)
    starts = [side.entries[0] for side in (rollout, control) if side.entries]
    if not starts:
        return _verdict((), policy, 0, 0)
    points = [Point(min(starts), 0, 0, 0, 0, 1.0), *_failures(rollout, control, policy.tolerated_ratio)]
    failed_rollout, failed_control = len(rollout.failures), len(control.failures)
    at_risk = rollout.at_risk(end, failed_rollout), control.at_risk(end, failed_control)
    points.append(Point(end, *at_risk, failed_rollout, failed_control, points[-1].evidence))
    return _verdict(tuple(points), policy, len(rollout.entries), len(control.entries))


class _Side:
    """One side of the comparison: when its devices enrolled, failed, or left the risk without failing."""

    def __init__(self, window: timedelta, end: datetime) -> None:
        self._window, self._end = window, end
        self.entries: list[datetime] = []
        self.failures: list[datetime] = []
        self._exits: list[datetime] = []

    def add(self, member: Member) -> None:
        if not _has_enrolled(member, self._end):
            return
        self.entries.append(member.enrolled_at)
        failed_at = _failed_at(member, self._window, self._end)
        if failed_at is not None:
            self.failures.append(failed_at)
            return
        until = member.until or member.enrolled_at + self._window
        self._exits.append(until if member.left_at is None else min(until, member.left_at))

    def sort(self) -> None:
        for times in (self.entries, self.failures, self._exits):
            times.sort()

    def at_risk(self, at: datetime, failed: int) -> int:
        """Return the devices at risk just before ``at``, of which ``failed`` have failed already."""
        return bisect_right(self.entries, at) - bisect_left(self._exits, at) - failed


def _sides(members: Iterable[Member], window: timedelta, end: datetime) -> tuple[_Side, _Side]:
    """Return the rollout and the control group, in order of time."""
    rollout, control = _Side(window, end), _Side(window, end)
    for member in members:
        (control if member.is_control else rollout).add(member)
    rollout.sort()
    control.sort()
    return rollout, control


def _failures(rollout: _Side, control: _Side, tolerated_ratio: float) -> Iterator[Point]:
    """Yield a point for each failure, in order of time."""
    weights = [0.0] * len(ALTERNATIVES)
    failed_rollout = failed_control = 0
    failures = [*((at, False) for at in control.failures), *((at, True) for at in rollout.failures)]
    for at, is_rollout in sorted(failures):
        n_rollout, n_control = rollout.at_risk(at, failed_rollout), control.at_risk(at, failed_control)
        failed_rollout += is_rollout
        failed_control += not is_rollout
        if n_rollout and n_control:
            _weigh(weights, tolerated_ratio * n_rollout, n_control, is_rollout)
        yield Point(at, n_rollout, n_control, failed_rollout, failed_control, _mean(weights))


def _has_enrolled(member: Member, end: datetime) -> bool:
    """Return whether the device enrolled by ``end``, and had not left before."""
    return member.enrolled_at <= end and (member.left_at is None or member.left_at >= member.enrolled_at)


def _failed_at(member: Member, window: timedelta, end: datetime) -> datetime | None:
    """Return when the device failed, if that counts and is not later than ``end``."""
    at = member.failed_at
    if at is None or not member.enrolled_at <= at <= min(end, member.until or member.enrolled_at + window):
        return None
    return None if member.left_at is not None and at > member.left_at else at


def _weigh(weights: list[float], tolerated: float, control: int, is_rollout: bool) -> None:
    """Multiply each E_m by its factor for one failure, in logarithms. ``tolerated`` is r*n_c."""
    base = math.log(tolerated + control)
    for place, times in enumerate(ALTERNATIVES):
        weights[place] += base - math.log(times * tolerated + control) + (_LOGS[place] if is_rollout else 0.0)


def without_control(members: Iterable[Member], policy: Policy, now: datetime) -> HealthVerdict:
    """Test whether a larger share of devices than ``acceptable_rate`` fails, outside the control group.

    The devices are taken in order of enrollment, never in order of their reports: crashes are reported at
    once and health later, so in order of reports every release looks bad at first. A failed device multiplies
    E_m by p_m/p, any other device by (1-p_m)/(1-p), with p the acceptable rate and p_m = m*p.

    A device counts as healthy until it fails, also while its window is open, and its part of E can only grow
    when it fails later. So E over the first n devices is at most what it will be when their windows are over,
    and that is the supermartingale (in n) that Ville's inequality bounds. For the same reason E can be
    evaluated over each beginning of the row: a release is bad if E reached 1/alpha with enough failing
    devices after any n.

    This requires that the server learns of an enrollment within ``settling``, whether the device fails or
    not. A device that has not failed moves back in the row when it is offered the release again, which also
    only lets E grow. Each point of the curve is at an enrollment, and ``rollout`` counts the devices so far.
    """
    end = now - policy.settling
    row = sorted(
        (member.enrolled_at, _failed_at(member, policy.window, end) is None)
        for member in members
        if not member.is_control and _has_enrolled(member, end)
    )
    if not row:
        return _verdict((), policy, 0, 0)
    factors = _factors(policy.acceptable_rate)
    points = [Point(row[0][0], 0, 0, 0, 0, 1.0), *_enrolled_failures(row, factors)]
    failing = points[-1].failing_rollout
    points.append(Point(end, len(row), 0, failing, 0, _evidence(factors, failing, len(row))))
    return _verdict(tuple(points), policy, len(row), 0)


def _enrolled_failures(
    row: Sequence[tuple[datetime, bool]], factors: Sequence[tuple[float, float]]
) -> Iterator[Point]:
    """Yield a point for each device that failed. ``row`` has the enrollments in order, with "is healthy".

    Among devices of one moment the healthy ones come last in the row, but all of them are counted in its
    points: the order within a moment must not create evidence.
    """
    moments = [at for at, _ in row]
    failed = (at for at, is_healthy in row if not is_healthy)
    for failing, at in enumerate(failed, 1):
        devices = bisect_right(moments, at)
        yield Point(at, devices, 0, failing, 0, _evidence(factors, failing, devices))


def _factors(rate: float) -> list[tuple[float, float]]:
    """Return the logarithms of p_m/p and (1-p_m)/(1-p) for each alternative, with p the ``rate``."""
    rates = [min(times * rate, (1 + rate) / 2) for times in ALTERNATIVES]
    return [(math.log(worse / rate), math.log((1 - worse) / (1 - rate))) for worse in rates]


def _evidence(factors: Sequence[tuple[float, float]], failing: int, devices: int) -> float:
    return _mean([failing * bad + (devices - failing) * good for bad, good in factors])


def _mean(weights: Sequence[float]) -> float:
    """Return the mean of the numbers with these logarithms, at most about 1e299."""
    most = max(weights)
    mean = sum(math.exp(weight - most) for weight in weights) / len(weights)
    return math.exp(min(_MAX_EXPONENT, most + math.log(mean)))


def _verdict(curve: tuple[Point, ...], policy: Policy, rollout: int, control: int) -> HealthVerdict:
    threshold = 1 / policy.alpha
    last = curve[-1] if curve else None
    enough = (point.evidence for point in curve if point.failing_rollout >= policy.min_failing_devices)
    peak = max(enough, default=1.0)
    return HealthVerdict(
        is_bad=peak >= threshold,
        evidence=last.evidence if last else 1.0,
        peak=peak,
        threshold=threshold,
        failing_rollout=last.failing_rollout if last else 0,
        failing_control=last.failing_control if last else 0,
        rollout=rollout,
        control=control,
        curve=curve,
    )
