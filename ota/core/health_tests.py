"""Is a release worse than it may be? Two tests that may be looked at after every report.

A plain rule ("crashes above twice the usual") that is looked at again and again halts good releases sooner or later. Both tests here
keep a number E, the evidence against the release, that is 1 at the start and of which no good release can expect a rise (a nonnegative
supermartingale, an "e-process"). Ville's inequality (1939) says that such a number ever reaches 1/alpha with probability alpha at
most, so a good release is halted with probability alpha at most, however often it is looked at and whenever one stops.

* ``with_control``: at each failure, did it come from the rollout or from the control? A coin whose bias is known from the numbers at
  risk: the sequential probability ratio of Wald (1945) on the partial likelihood, as in the safe logrank test (ter Schure,
  Perez-Ortiz, Ly and Gruenwald, 2020), mixed over alternatives as in always-valid inference (Robbins 1970; Johari, Koomen,
  Pekelis and Walsh 2017).
* ``without_control``: the same mixture of likelihood ratios on "failed or not", device by device in order of enrolment.

Time. Reports arrive late and device clocks lie, so each report has two times, and ``placed_at`` makes one of them: no report is put
further back than ``Policy.settling`` before it was received, and a test never looks at what is younger than ``settling``. A report that
is still to come can therefore change nothing that was looked at: what was true at one look is true at all later ones, and latching a
halt costs nothing. All members that are handed to a test must have been placed so.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

ALTERNATIVES = (1.3, 1.7, 2.2, 3.0, 4.0, 5.5, 7.5, 10.0, 14.0, 20.0)
"""How many times worse than tolerated a bad release may be; the evidence is the mean over them."""

_LOGS = tuple(math.log(times) for times in ALTERNATIVES)
_MOST = 690.0
"""The largest exponent that is raised to a number: evidence is told up to about 1e299."""


@dataclass(frozen=True, slots=True)
class Policy:
    """When a release counts as bad. Raises ``ValueError`` with a sentence for what can't be meant."""

    alpha: float = 0.01
    """The largest probability with which a good release is called bad, over its whole life."""
    tolerated_ratio: float = 1.5
    """With a control: so many times the control's failures are still a good release."""
    window: timedelta = timedelta(hours=24)
    """A failure counts within this time after the device's enrolment."""
    min_failing_devices: int = 3
    acceptable_rate: float = 0.02
    """Without a control: this share of failing devices is still a good release."""
    settling: timedelta = timedelta(hours=2)
    """How long reports are given to arrive before what they tell of is judged."""
    silence: timedelta = timedelta(0)
    """With a control: a device that normally calls and has not for so long has failed. 0: silence is no failure."""

    def __post_init__(self) -> None:
        if not 1e-6 <= self.alpha <= 0.2:
            raise ValueError(
                f"alpha is {self.alpha:g}: expected 0.000001 to 0.2; 0.01 halts one good release in a hundred at most"
            )
        if not 1 <= self.tolerated_ratio <= 100:
            raise ValueError(
                f"the tolerated ratio is {self.tolerated_ratio:g}: expected 1 (no worse than the control) to 100"
            )
        if not timedelta(minutes=1) <= self.window <= timedelta(days=90):
            raise ValueError(f"the window is {self.window}: expected 1 minute to 90 days")
        if not 1 <= self.min_failing_devices <= 1_000_000:
            raise ValueError(
                f"{self.min_failing_devices} failing devices are asked for: expected 1 to 1000000"
            )
        if not 1e-6 <= self.acceptable_rate <= 0.5:
            raise ValueError(
                f"the acceptable rate is {self.acceptable_rate:g}: expected a share from 0.000001 to 0.5; 2 % is 0.02"
            )
        if not timedelta(0) <= self.settling <= timedelta(days=7):
            raise ValueError(f"the settling time is {self.settling}: expected 0 to 7 days")
        if not timedelta(0) <= self.silence <= timedelta(days=30):
            raise ValueError(f"the silence is {self.silence}: expected 0 (it is no failure) to 30 days")


class Member(NamedTuple):
    """One device, one vote. All times as ``placed_at`` gives them."""

    enrolled_at: datetime
    """Its window began (`ota.core.health_members`)."""
    failed_at: datetime | None = None
    """Its first failure. One before the enrolment, after the window or after it left doesn't count."""
    is_control: bool = False
    left_at: datetime | None = None
    """It moved to another version (a device of the control: also when it got this release)."""
    healthy_at: datetime | None = None
    """It first said that all is well. No test asks for it, only ``reported``: health comes late, and may not come."""
    until: datetime | None = None
    """When its window ends; None: ``Policy.window`` after the enrolment."""


class Point(NamedTuple):
    """One step of the curve: the numbers just before ``at``, and the failures and the evidence with it."""

    at: datetime
    rollout: int
    control: int
    failing_rollout: int
    failing_control: int
    evidence: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a test found. The numbers are those of the last point; ``peak`` is the highest evidence with enough failing devices."""

    is_bad: bool
    evidence: float
    peak: float
    threshold: float
    failing_rollout: int
    failing_control: int
    rollout: int
    control: int
    curve: tuple[Point, ...]
    """Empty before the first enrolment; else it begins with that, has a point for each failure and ends with where it stands."""


class Reported(NamedTuple):
    """Of so many enrolled rollout devices so many are decided: healthy, failed, gone on, or silent for the whole window."""

    devices: int
    enrolled: int
    is_enough: bool


def placed_at(happened_at: datetime | None, received_at: datetime, policy: Policy) -> datetime:
    """The time at which a report counts: when it happened, but neither after it was received nor more than ``settling`` before.

    ``happened_at`` is what the device says, or what the server knows of its own (an installation can't be older than its offer).
    """
    if happened_at is None:
        return received_at
    return max(min(happened_at, received_at), received_at - policy.settling)


def with_control(members: Iterable[Member], policy: Policy, now: datetime) -> Verdict:
    """Do the devices of the rollout fail more than ``tolerated_ratio`` times as often as those of the control?

    A device is at risk from its enrolment until it fails, leaves or its window ends. At each failure, with n_c and n_k at risk just
    before it, it came from the rollout with probability q0 = r*n_c / (r*n_c + n_k) at most if the release is good (r the tolerated
    ratio), and with q_m, the same with m*r, if it is m times worse than that. E_m is multiplied by q_m/q0 or by (1-q_m)/(1-q0); E is
    their mean. Where one side has nobody at risk both are 1: such a failure says nothing. Of failures of the same moment those of the
    control come first.

    Bad is a release for which E reached 1/alpha while at least ``min_failing_devices`` of its devices had failed, at any time.
    O(n log n) of the members.
    """
    end = now - policy.settling
    arms = (_Arm(policy.window, end), _Arm(policy.window, end))
    for member in members:
        arms[member.is_control].add(member)
    rollout, control = arms
    rollout.sort()
    control.sort()
    points: list[Point] = []
    weights = [0.0] * len(ALTERNATIVES)
    failures = sorted([*((at, 0) for at in control.failures), *((at, 1) for at in rollout.failures)])
    failed = [0, 0]
    for at, is_rollout in failures:
        at_risk, beside = rollout.at_risk(at, failed[1]), control.at_risk(at, failed[0])
        failed[is_rollout] += 1
        if at_risk and beside:
            _weigh(weights, policy.tolerated_ratio * at_risk, beside, bool(is_rollout))
        points.append(Point(at, at_risk, beside, failed[1], failed[0], _mean(weights)))
    starts = [arm.entries[0] for arm in arms if arm.entries]
    if not starts:
        return _verdict((), policy, 0, 0)
    first = Point(min(starts), 0, 0, 0, 0, 1.0)
    last = Point(
        end,
        rollout.at_risk(end, failed[1]),
        control.at_risk(end, failed[0]),
        failed[1],
        failed[0],
        _mean(weights),
    )
    return _verdict((first, *points, last), policy, len(rollout.entries), len(control.entries))


class _Arm:
    """One side of the comparison: when its devices came, when they ceased to be at risk without failing, and when they failed."""

    def __init__(self, window: timedelta, end: datetime) -> None:
        self._window, self._end = window, end
        self.entries: list[datetime] = []
        self.failures: list[datetime] = []
        self._exits: list[datetime] = []

    def add(self, member: Member) -> None:
        if member.enrolled_at > self._end or (
            member.left_at is not None and member.left_at < member.enrolled_at
        ):
            return
        self.entries.append(member.enrolled_at)
        failed_at = _failed_at(member, self._window, self._end)
        if failed_at is None:
            over = member.until or member.enrolled_at + self._window
            self._exits.append(over if member.left_at is None else min(over, member.left_at))
        else:
            self.failures.append(failed_at)

    def sort(self) -> None:
        for times in (self.entries, self.failures, self._exits):
            times.sort()

    def at_risk(self, at: datetime, failed: int) -> int:
        """How many are at risk just before ``at``, of whom ``failed`` have failed already."""
        return bisect_right(self.entries, at) - bisect_left(self._exits, at) - failed


def _failed_at(member: Member, window: timedelta, end: datetime) -> datetime | None:
    """When the device failed, if that counts and is no younger than ``end``."""
    at = member.failed_at
    if at is None or not member.enrolled_at <= at <= min(end, member.until or member.enrolled_at + window):
        return None
    return None if member.left_at is not None and at > member.left_at else at


def _weigh(weights: list[float], tolerated: float, control: int, is_rollout: bool) -> None:
    """Multiplies each E_m by its ratio for one failure; ``tolerated`` is r*n_c. In logarithms, so that nothing overflows."""
    base = math.log(tolerated + control)
    for place, times in enumerate(ALTERNATIVES):
        weights[place] += base - math.log(times * tolerated + control) + (_LOGS[place] if is_rollout else 0.0)


def without_control(members: Iterable[Member], policy: Policy, now: datetime) -> Verdict:
    """Does a larger share of devices than ``acceptable_rate`` fail within their window? Members of a control are passed over.

    The devices are taken in order of enrolment, never in order of their reports: crashes report at once and health later, so in
    that order every release looks bad at first. A device that failed multiplies E_m by p_m/p, any other one by (1-p_m)/(1-p), with p
    the acceptable rate and p_m = m*p.

    No device's window need be over: one that hasn't failed yet counts as healthy, and its part of E can only grow when it fails later.
    So E over the first n devices is at any time at most what it will be when all n windows are over, and that is the
    supermartingale (in n) that Ville's inequality bounds. For the same reason E over each beginning of the row may be looked at, not
    only over the whole row: bad is a release for which E reached 1/alpha with enough failing devices after any n.

    This asks that the server learns of an enrolment within ``settling``, whether the device fails or not. A device that has not failed may
    move back in the row later, when it is offered the release once more: that too lets E only grow. Each point of the curve is at an
    enrolment, with the devices counted so far in ``rollout``.
    """
    end = now - policy.settling
    row = sorted(
        (member.enrolled_at, _failed_at(member, policy.window, end) is None)
        for member in members
        if not member.is_control
        and member.enrolled_at <= end
        and (member.left_at is None or member.left_at >= member.enrolled_at)
    )
    if not row:
        return _verdict((), policy, 0, 0)
    rate = policy.acceptable_rate
    rates = [min(times * rate, (1 + rate) / 2) for times in ALTERNATIVES]
    steps = [(math.log(worse / rate), math.log((1 - worse) / (1 - rate))) for worse in rates]
    points = [Point(row[0][0], 0, 0, 0, 0, 1.0)]
    failing = 0
    # Among devices of one moment the healthy ones come last in the row and first in the sum: the order can't make evidence.
    moments = [at for at, _ in row]
    for at, is_healthy in row:
        if is_healthy:
            continue
        failing += 1
        fed = bisect_right(moments, at)
        points.append(
            Point(
                at, fed, 0, failing, 0, _mean([failing * bad + (fed - failing) * good for bad, good in steps])
            )
        )
    evidence = _mean([failing * bad + (len(row) - failing) * good for bad, good in steps])
    points.append(Point(end, len(row), 0, failing, 0, evidence))
    return _verdict(tuple(points), policy, len(row), 0)


def _mean(weights: Sequence[float]) -> float:
    """The mean of the numbers whose logarithms these are, at most about 1e299."""
    most = max(weights)
    return math.exp(
        min(_MOST, most + math.log(sum(math.exp(weight - most) for weight in weights) / len(weights)))
    )


def _verdict(curve: tuple[Point, ...], policy: Policy, rollout: int, control: int) -> Verdict:
    threshold = 1 / policy.alpha
    last = curve[-1] if curve else None
    peak = max(
        (point.evidence for point in curve if point.failing_rollout >= policy.min_failing_devices),
        default=1.0,
    )
    return Verdict(
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


def reported(members: Iterable[Member], policy: Policy, now: datetime, share: float) -> Reported:
    """Are so many of the enrolled rollout devices (``share``, 0 to 1) decided that a plan may go on? Never while nobody is enrolled."""
    if not 0 <= share <= 1:
        raise ValueError(f"the share is {share:g}: expected 0 to 1; half of the devices is 0.5")
    enrolled = decided = 0
    for member in members:
        if member.is_control or member.enrolled_at > now:
            continue
        enrolled += 1
        said = (member.healthy_at, member.failed_at, member.left_at, member.enrolled_at + policy.window)
        decided += any(at is not None and at <= now for at in said)
    return Reported(decided, enrolled, enrolled > 0 and decided >= share * enrolled)


def enough_reported(members: Iterable[Member], policy: Policy, now: datetime, share: float) -> bool:
    """``reported``, answered with yes or no."""
    return reported(members, policy, now, share).is_enough


def expected_false_halts_a_year(releases_per_year: float, alpha: float) -> float:
    """At most so many good releases a year are halted, on average."""
    return releases_per_year * alpha
