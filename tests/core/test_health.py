"""The health tests: their evidence, and the laws that it obeys."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.core import health_tests
from ota.core.health_tests import HealthVerdict, with_control, without_control
from ota.core.health_votes import Member, Policy, placed_at, reported

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
NOW = START + timedelta(days=10)
HOUR = timedelta(hours=1)
Test = Callable[[Iterable[Member], Policy, datetime], HealthVerdict]
POLICY = Policy(settling=timedelta(0))


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


hours = st.integers(0, 40).map(at)
members = st.builds(Member, hours, st.none() | hours, st.booleans(), st.none() | hours, st.none(), st.none())
crowds = st.lists(members, max_size=40)


def healthy(rollout: int, control: int) -> list[Member]:
    return [Member(START)] * rollout + [Member(START, is_control=True)] * control


def failing(rollout: int, control: int = 0, *, first: float = 1) -> list[Member]:
    """Return devices of both sides that fail one after another, a minute apart."""
    sides = [False] * rollout + [True] * control
    return [Member(START, at(first + place / 60), side) for place, side in enumerate(sides)]


def test_the_evidence_is_the_one_calculated_by_hand() -> None:
    """10 devices on each side, tolerated ratio 1. A device of the rollout fails, then one of the control
    group.

    First q0 = 10/20 and q_m = 10m/(10m+10), so the factor is 2m/(m+1). Then 9 and 10 devices are at risk: q0
    = 9/19 and q_m = 9m/(9m+10), so 1-q0 = 10/19, 1-q_m = 10/(9m+10), and the factor is 19/(9m+10).
    """
    crowd = [*healthy(9, 9), Member(START, at(1)), Member(START, at(2), is_control=True)]
    verdict = with_control(crowd, replace(POLICY, tolerated_ratio=1), at(3))
    first = [2 * m / (m + 1) for m in health_tests.ALTERNATIVES]
    both = [one * 19 / (9 * m + 10) for one, m in zip(first, health_tests.ALTERNATIVES, strict=True)]
    assert [
        (point.at, point.rollout, point.control, point.failing_rollout, point.failing_control)
        for point in verdict.curve
    ] == [
        (at(0), 0, 0, 0, 0),
        (at(1), 10, 10, 1, 0),
        (at(2), 9, 10, 1, 1),
        (at(3), 9, 9, 1, 1),
    ]
    expected = [1, sum(first) / 10, sum(both) / 10, sum(both) / 10]
    assert [point.evidence for point in verdict.curve] == pytest.approx(expected)
    assert (verdict.rollout, verdict.control, verdict.threshold, verdict.is_bad) == (10, 10, 100, False)


def test_the_evidence_without_a_control_group_is_the_one_calculated_by_hand() -> None:
    """Three of ten devices fail, and 10 % are acceptable.

    Each failure counts p_m/0.1, each of the seven others (1-p_m)/0.9, with p_m = 0.1m up to 0.55.
    """
    verdict = without_control(healthy(7, 0) + failing(3), replace(POLICY, acceptable_rate=0.1), at(3))
    rates = [min(0.1 * m, 0.55) for m in health_tests.ALTERNATIVES]
    assert verdict.evidence == pytest.approx(sum((p / 0.1) ** 3 * ((1 - p) / 0.9) ** 7 for p in rates) / 10)
    assert (verdict.failing_rollout, verdict.rollout, verdict.is_bad) == (3, 10, False)


@pytest.mark.parametrize("test", [with_control, without_control])
@given(crowd=crowds, seed=st.integers(0, 9))
def test_the_order_of_the_members_does_not_matter(test: Test, crowd: list[Member], seed: int) -> None:
    mixed = list(crowd)
    random.Random(seed).shuffle(mixed)
    assert test(mixed, POLICY, NOW) == test(crowd, POLICY, NOW)


@given(crowds)
def test_without_failures_the_evidence_stays_one(crowd: list[Member]) -> None:
    verdict = with_control([member._replace(failed_at=None) for member in crowd], POLICY, NOW)
    assert {point.evidence for point in verdict.curve} <= {1.0}
    assert verdict.evidence == verdict.peak == 1
    assert not verdict.is_bad


@pytest.mark.parametrize("test", [with_control, without_control])
@given(crowd=crowds)
def test_the_curve_ends_with_the_verdict(test: Test, crowd: list[Member]) -> None:
    verdict = test(crowd, POLICY, NOW)
    if not verdict.curve:
        assert (verdict.rollout, verdict.control, verdict.evidence) == (0, 0, 1)
        return
    last = verdict.curve[-1]
    assert (last.evidence, last.failing_rollout, last.failing_control) == (
        verdict.evidence,
        verdict.failing_rollout,
        verdict.failing_control,
    )
    assert [point.at for point in verdict.curve] == sorted(point.at for point in verdict.curve)


@pytest.mark.parametrize("is_control", [False, True])
@given(crowd=st.lists(members, min_size=1, max_size=40), when=hours, pick=st.integers(0, 39))
def test_a_failure_of_the_rollout_never_lowers_the_evidence_and_one_of_the_control_never_raises_it(
    is_control: bool, crowd: list[Member], when: datetime, pick: int
) -> None:
    picked = crowd[pick % len(crowd)]._replace(is_control=is_control, failed_at=None)
    others = [member for place, member in enumerate(crowd) if place != pick % len(crowd)]
    before = with_control([*others, picked], POLICY, NOW).evidence
    after = with_control([*others, picked._replace(failed_at=when)], POLICY, NOW).evidence
    assert after <= before * (1 + 1e-9) if is_control else after >= before * (1 - 1e-9)


@given(crowd=crowds, when=hours, enrolled=hours)
def test_without_a_control_group_a_failure_never_lowers_the_evidence(
    crowd: list[Member], when: datetime, enrolled: datetime
) -> None:
    before = without_control([*crowd, Member(enrolled)], POLICY, NOW)
    after = without_control([*crowd, Member(enrolled, when)], POLICY, NOW)
    assert after.evidence >= before.evidence * (1 - 1e-9)
    assert after.is_bad >= before.is_bad


def test_two_failing_devices_are_never_enough() -> None:
    eager = replace(POLICY, alpha=0.05, acceptable_rate=0.000_1)
    for test, crowd in ((with_control, healthy(98, 100_000)), (without_control, healthy(5, 0))):
        two, three = test([*crowd, *failing(2)], eager, NOW), test([*crowd, *failing(3)], eager, NOW)
        assert two.evidence > two.threshold
        assert not two.is_bad
        assert three.is_bad


def test_a_release_that_was_bad_once_stays_bad() -> None:
    crowd = healthy(90, 900) + failing(10)
    assert with_control(crowd, POLICY, NOW).is_bad
    later = with_control(crowd + failing(0, 800, first=5), POLICY, NOW)
    assert later.is_bad
    assert later.evidence < 1 < later.threshold <= later.peak


@pytest.mark.parametrize("test", [with_control, without_control])
@given(crowd=crowds, looks=st.lists(hours, min_size=2, max_size=6))
def test_a_verdict_is_found_again_at_every_later_look(
    test: Test, crowd: list[Member], looks: list[datetime]
) -> None:
    found = [test(crowd, POLICY, look).is_bad for look in sorted(looks)]
    assert found == sorted(found)


@given(crowd=crowds, early=hours)
def test_the_curve_only_grows_at_its_end(crowd: list[Member], early: datetime) -> None:
    before, after = with_control(crowd, POLICY, early).curve, with_control(crowd, POLICY, NOW).curve
    assert after[: max(0, len(before) - 1)] == before[:-1]


@given(happened=st.none() | hours, received=hours, look=hours)
def test_a_late_report_changes_no_earlier_result(
    happened: datetime | None, received: datetime, look: datetime
) -> None:
    policy = Policy(settling=3 * HOUR)
    placed = placed_at(happened, received, policy)
    assert received - policy.settling <= placed <= received
    assert received <= look or placed > look - policy.settling
    crowd = failing(5, 1) + healthy(20, 20)
    for test in (with_control, without_control):
        if received > look:
            assert test([*crowd, Member(placed), Member(placed, placed)], policy, look) == test(
                crowd, policy, look
            )


@pytest.mark.parametrize(
    "device",
    [
        Member(at(2), failed_at=at(1)),
        Member(at(0), failed_at=at(24.01)),
        Member(at(0), failed_at=at(3), left_at=at(2)),
        Member(at(0), failed_at=at(11)),
    ],
    ids=["before its enrollment", "after its window", "after it left", "after this look"],
)
def test_a_failure_outside_a_devices_window_does_not_count(device: Member) -> None:
    for test in (with_control, without_control):
        verdict = test([*healthy(5, 5), device], POLICY, at(10) if device.failed_at == at(11) else NOW)
        assert (verdict.failing_rollout, verdict.rollout) == (0, 6)


def test_a_device_that_left_or_whose_window_is_over_is_not_at_risk() -> None:
    crowd = [
        Member(at(0)),
        Member(at(0), left_at=at(5)),
        Member(at(20)),
        Member(at(20), at(30)),
        Member(at(20), is_control=True),
    ]
    point = with_control(crowd, POLICY, NOW).curve[1]
    assert (point.at, point.rollout, point.control) == (at(30), 2, 1)


def test_failures_are_no_evidence_while_the_other_side_has_no_device_at_risk() -> None:
    assert with_control(failing(50), POLICY, NOW).evidence == 1
    assert with_control(failing(0, 50), POLICY, NOW).evidence == 1
    assert with_control([*failing(50), Member(at(5), is_control=True)], POLICY, NOW).evidence == 1


def test_a_device_that_fails_at_its_enrollment_was_at_risk() -> None:
    crowd = [Member(at(1), at(1)), *healthy(0, 9)]
    assert [(point.rollout, point.control) for point in with_control(crowd, POLICY, NOW).curve] == [
        (0, 0),
        (1, 9),
        (0, 0),
    ]


def test_failures_of_one_moment_count_one_by_one_and_those_of_the_control_group_first() -> None:
    crowd = [
        *healthy(3, 3),
        Member(at(0), at(1)),
        Member(at(0), at(1)),
        Member(at(0), at(1), is_control=True),
    ]
    points = with_control(crowd, POLICY, NOW).curve[1:-1]
    assert [
        (point.rollout, point.control, point.failing_rollout, point.failing_control) for point in points
    ] == [
        (5, 4, 0, 1),
        (5, 3, 1, 1),
        (4, 3, 2, 1),
    ]


@pytest.mark.parametrize("test", [with_control, without_control])
def test_huge_numbers_do_not_overflow(test: Test) -> None:
    worst = test(failing(3_000) + healthy(1, 50_000), replace(POLICY, acceptable_rate=1e-6), NOW)
    assert worst.is_bad
    assert 1e200 < worst.evidence < math.inf
    best = test(failing(1, 30_000) + healthy(50_000, 1), POLICY, NOW)
    assert not best.is_bad
    assert 0 <= best.evidence < 1


def test_an_empty_crowd_is_no_evidence() -> None:
    for verdict in (with_control([], POLICY, NOW), without_control(healthy(0, 5), POLICY, NOW)):
        assert verdict == HealthVerdict(False, 1, 1, 100, 0, 0, 0, 0, ())


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"alpha": math.nan},
        {"tolerated_ratio": 0.9},
        {"tolerated_ratio": math.inf},
        {"window": timedelta(0)},
        {"min_failing_devices": 0},
        {"acceptable_rate": 0.0},
        {"acceptable_rate": 2.0},
        {"settling": -HOUR},
    ],
)
def test_an_impossible_policy_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Policy(**wrong)  # type: ignore[arg-type]


def test_decided_devices_are_healthy_failed_gone_or_at_the_end_of_their_window() -> None:
    crowd = [
        Member(at(0)),
        Member(at(40), healthy_at=at(41)),
        Member(at(40), failed_at=at(41)),
        Member(at(40), left_at=at(42)),
        Member(at(40)),
    ]
    crowd += [Member(at(49)), *healthy(0, 50)]
    assert reported(crowd, POLICY, at(45)) == (4, 5)
    assert reported(crowd, POLICY, at(41.5)) == (3, 5)
    assert reported(healthy(0, 5), POLICY, NOW) == (0, 0)


def test_good_releases_expect_no_evidence() -> None:
    """At any fixed time, the mean evidence of releases that are just as bad as tolerated is 1 at most."""
    draw = random.Random(11)
    alone, compared = [], []
    for _ in range(2_000):
        crowd = [Member(at(0), at(draw.random() * 20) if draw.random() < 0.10 else None) for _ in range(30)]
        crowd += [
            Member(at(0), at(draw.random() * 20) if draw.random() < 0.07 else None, True) for _ in range(60)
        ]
        compared.append(with_control(crowd, POLICY, NOW).evidence)
        alone.append(without_control(crowd, replace(POLICY, acceptable_rate=0.10), NOW).evidence)
    for evidence in (alone, compared):
        assert sum(evidence) / len(evidence) < 1.3
        assert sum(one >= 100 for one in evidence) <= 0.02 * len(evidence)
