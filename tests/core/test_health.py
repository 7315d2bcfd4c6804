"""Whether a release is worse than it may be: the tests of health, and how they stand up to many releases."""

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import health as simulation
from benchmarks import health_world
from benchmarks.health_world import World
from ota.core import health_tests
from ota.core.health_tests import Member, Policy, Verdict, placed_at, with_control, without_control

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
NOW = START + timedelta(days=10)
HOUR = timedelta(hours=1)
Test = Callable[[Iterable[Member], Policy, datetime], Verdict]
DAY = timedelta(hours=24)
POLICY = Policy(settling=timedelta(0))


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


hours = st.integers(0, 40).map(at)
members = st.builds(Member, hours, st.none() | hours, st.booleans(), st.none() | hours, st.none(), st.none())
crowds = st.lists(members, max_size=40)


def healthy(rollout: int, control: int) -> list[Member]:
    return [Member(START)] * rollout + [Member(START, is_control=True)] * control


def failing(rollout: int, control: int = 0, *, first: float = 1) -> list[Member]:
    """Devices of both sides that fail one after another, a minute apart."""
    sides = [False] * rollout + [True] * control
    return [Member(START, at(first + place / 60), side) for place, side in enumerate(sides)]


# A worked example. 10 rollout and 10 control devices, tolerated ratio 1; first a rollout device fails, then one of the control.
# q0 = 10/20, q_m = 10m/(10m+10); the factor is 2m/(m+1). Then 9 and 10 are at risk: q0 = 9/19, q_m = 9m/(9m+10); 1-q0 = 10/19,
# 1-q_m = 10/(9m+10); the factor is 19/(9m+10).
def test_the_evidence_is_what_one_gets_by_hand() -> None:
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


# Three of ten fail, 10 % are acceptable. Each failure counts p_m/0.1, each of the seven others (1-p_m)/0.9, p_m = 0.1m up to 0.55.
def test_the_evidence_without_a_control_is_what_one_gets_by_hand() -> None:
    verdict = without_control(healthy(7, 0) + failing(3), replace(POLICY, acceptable_rate=0.1), at(3))
    rates = [min(0.1 * m, 0.55) for m in health_tests.ALTERNATIVES]
    assert verdict.evidence == pytest.approx(sum((p / 0.1) ** 3 * ((1 - p) / 0.9) ** 7 for p in rates) / 10)
    assert (verdict.failing_rollout, verdict.rollout, verdict.is_bad) == (3, 10, False)


@pytest.mark.parametrize("test", [with_control, without_control])
@given(crowd=crowds, seed=st.integers(0, 9))
def test_the_order_of_the_members_says_nothing(test: Test, crowd: list[Member], seed: int) -> None:
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
def test_one_more_failure_of_the_rollout_never_lowers_the_evidence_and_one_of_the_control_never_raises_it(
    is_control: bool, crowd: list[Member], when: datetime, pick: int
) -> None:
    picked = crowd[pick % len(crowd)]._replace(is_control=is_control, failed_at=None)
    others = [member for place, member in enumerate(crowd) if place != pick % len(crowd)]
    before = with_control([*others, picked], POLICY, NOW).evidence
    after = with_control([*others, picked._replace(failed_at=when)], POLICY, NOW).evidence
    assert after <= before * (1 + 1e-9) if is_control else after >= before * (1 - 1e-9)


@given(crowd=crowds, when=hours, enrolled=hours)
def test_without_a_control_a_failure_never_lowers_the_evidence(
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
def test_what_was_found_at_one_look_is_found_at_every_later_one(
    test: Test, crowd: list[Member], looks: list[datetime]
) -> None:
    found = [test(crowd, POLICY, look).is_bad for look in sorted(looks)]
    assert found == sorted(found)


@given(crowd=crowds, early=hours)
def test_the_curve_only_grows_at_its_end(crowd: list[Member], early: datetime) -> None:
    before, after = with_control(crowd, POLICY, early).curve, with_control(crowd, POLICY, NOW).curve
    assert after[: max(0, len(before) - 1)] == before[:-1]


@given(happened=st.none() | hours, received=hours, look=hours)
def test_a_report_that_is_still_to_come_changes_nothing_that_was_looked_at(
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
    ids=["before its enrolment", "after its window", "after it left", "after this look"],
)
def test_a_failure_outside_a_devices_window_does_not_count(device: Member) -> None:
    for test in (with_control, without_control):
        verdict = test([*healthy(5, 5), device], POLICY, at(10) if device.failed_at == at(11) else NOW)
        assert (verdict.failing_rollout, verdict.rollout) == (0, 6)


def test_who_has_left_or_whose_window_is_over_is_not_at_risk() -> None:
    crowd = [
        Member(at(0)),
        Member(at(0), left_at=at(5)),
        Member(at(20)),
        Member(at(20), at(30)),
        Member(at(20), is_control=True),
    ]
    point = with_control(crowd, POLICY, NOW).curve[1]
    assert (point.at, point.rollout, point.control) == (at(30), 2, 1)


def test_failures_say_nothing_while_nobody_is_at_risk_on_the_other_side() -> None:
    assert with_control(failing(50), POLICY, NOW).evidence == 1
    assert with_control(failing(0, 50), POLICY, NOW).evidence == 1
    assert with_control([*failing(50), Member(at(5), is_control=True)], POLICY, NOW).evidence == 1


def test_a_device_that_fails_with_its_first_word_counts_itself_among_those_at_risk() -> None:
    crowd = [Member(at(1), at(1)), *healthy(0, 9)]
    assert [(point.rollout, point.control) for point in with_control(crowd, POLICY, NOW).curve] == [
        (0, 0),
        (1, 9),
        (0, 0),
    ]


def test_failures_of_one_moment_are_counted_one_by_one_those_of_the_control_first() -> None:
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
def test_numbers_without_measure_overflow_nothing(test: Test) -> None:
    worst = test(failing(3_000) + healthy(1, 50_000), replace(POLICY, acceptable_rate=1e-6), NOW)
    assert worst.is_bad
    assert 1e200 < worst.evidence < math.inf
    best = test(failing(1, 30_000) + healthy(50_000, 1), POLICY, NOW)
    assert not best.is_bad
    assert 0 <= best.evidence < 1


def test_an_empty_crowd_is_no_evidence() -> None:
    for verdict in (with_control([], POLICY, NOW), without_control(healthy(0, 5), POLICY, NOW)):
        assert verdict == Verdict(False, 1, 1, 100, 0, 0, 0, 0, ())


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
def test_a_policy_that_can_not_be_meant_is_refused_with_a_sentence(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Policy(**wrong)  # type: ignore[arg-type]


def test_a_gate_opens_when_enough_devices_are_decided() -> None:
    crowd = [
        Member(at(0)),
        Member(at(40), healthy_at=at(41)),
        Member(at(40), failed_at=at(41)),
        Member(at(40), left_at=at(42)),
        Member(at(40)),
    ]
    crowd += [Member(at(49)), *healthy(0, 50)]
    assert health_tests.reported(crowd, POLICY, at(45), 0.8) == (4, 5, True)
    assert not health_tests.enough_reported(crowd, POLICY, at(45), 0.81)
    assert health_tests.reported(crowd, POLICY, at(41.5), 0.8) == (3, 5, False)
    assert not health_tests.enough_reported(healthy(0, 5), POLICY, NOW, 0)
    with pytest.raises(ValueError, match="half of the devices"):
        health_tests.enough_reported(crowd, POLICY, NOW, 50)


def test_alpha_says_how_many_good_releases_a_year_are_halted() -> None:
    assert health_tests.expected_false_halts_a_year(50, 0.01) == 0.5


# No good release can expect evidence to rise: over many of them, just as bad as tolerated, its mean at a fixed time is 1 at most.
def test_good_releases_expect_no_evidence() -> None:
    draw = random.Random(11)
    alone, beside = [], []
    for _ in range(2_000):
        crowd = [Member(at(0), at(draw.random() * 20) if draw.random() < 0.10 else None) for _ in range(30)]
        crowd += [
            Member(at(0), at(draw.random() * 20) if draw.random() < 0.07 else None, True) for _ in range(60)
        ]
        beside.append(with_control(crowd, POLICY, NOW).evidence)
        alone.append(without_control(crowd, replace(POLICY, acceptable_rate=0.10), NOW).evidence)
    for evidence in (alone, beside):
        assert sum(evidence) / len(evidence) < 1.3
        assert sum(one >= 100 for one in evidence) <= 0.02 * len(evidence)


def test_what_arrives_later_only_adds_to_the_evidence() -> None:
    """So whether a release was ever found bad shows at the end, however often it was looked at with what had arrived by then."""
    world = World(rollout=60, control=120, rate=0.05, times=6, first_crash=1, installs=0.5)
    for seed in range(3):
        reports = health_world.reports_of(world, random.Random(seed))
        found = simulation.hours_to_halt(reports, world, Policy())
        for minutes in range(0, 60 * 24 * 4, 90):
            known = [report for report in reports if report.received <= minutes * 60]
            crowd = health_world.crowd_of(known, world, Policy())
            is_bad = simulation.is_bad(crowd, world, Policy(), simulation.START + timedelta(minutes=minutes))
            assert is_bad is (found is not None and minutes / 60 >= found)


def test_good_releases_are_rarely_halted_and_bad_ones_always() -> None:
    for world in (World(control=2_000), World(control=0)):
        good = simulation.many(world, Policy(), 30, seed=7)
        assert sum(outcome.server is not None for outcome in good) <= 1
        assert sum(outcome.plain for outcome in good) >= 5
        for times in (5, 10):
            bad = simulation.many(replace(world, times=times), Policy(), 3, seed=7)
            assert simulation.broken("so", times, bad) == []
            assert all(outcome.plain for outcome in bad)


def test_a_release_that_is_opened_further_is_as_safe() -> None:
    """Half of the devices are seldom used: when the others are let in, the control must not become theirs."""
    world = World(rollout=200, control=1_800, rate=0.01, opens_at=24.0, idle=0.5)
    assert sum(outcome.server is not None for outcome in simulation.many(world, Policy(), 15, seed=7)) <= 1


def test_the_simulation_says_what_does_not_hold() -> None:
    halted, left = simulation.Outcome(1.0, True), simulation.Outcome(None, True)
    assert simulation.broken("so", 1, [left] * 76 + [halted]) == []
    assert simulation.broken("so", 1, [left] * 75 + [halted]) == [
        "so: 1 of 76 good releases were halted, more than 1.3%"
    ]
    assert simulation.broken("so", 5, [halted] * 9 + [left]) == [
        "so: 1 of 10 releases with 5 times the failures were not halted"
    ]
    assert simulation.broken("so", 5, [halted] * 9 + [left], is_promised=False) == []
