"""Arms of experiments: the differences that are found, and how rarely one is found between equal arms."""

from __future__ import annotations

import random

import pytest

from ota.core.comparison import ALPHA, Comparison, Counts, Finding, Result, compare


def arm(offered: int, installed: int, failed: int) -> Counts:
    return Counts(offered, installed, installed, failed)


def findings(result: Result) -> tuple[Finding, Finding]:
    assert isinstance(result.completion_beside, Comparison)
    assert isinstance(result.failure_beside, Comparison)
    return result.completion_beside.finding, result.failure_beside.finding


def test_each_arm_is_compared_with_the_first() -> None:
    first, better, worse = compare([arm(2_000, 1_200, 24), arm(2_000, 1_500, 20), arm(2_000, 900, 90)])
    assert (first.completion_beside, first.failure_beside) == (None, None)
    assert first.completion.rate == pytest.approx(0.6)
    assert findings(better) == (Finding.HIGHER, Finding.CHANCE)
    assert findings(worse) == (Finding.LOWER, Finding.HIGHER)


def test_fewer_failures_than_the_first_arm_are_found_too() -> None:
    assert findings(compare([arm(5_000, 4_000, 400), arm(5_000, 4_000, 40)])[1]) == (
        Finding.CHANCE,
        Finding.LOWER,
    )


def test_each_share_needs_enough_devices_of_its_own() -> None:
    second = compare([arm(5_000, 99, 1), arm(5_000, 4_000, 40)])[1]
    assert findings(second) == (Finding.HIGHER, Finding.TOO_FEW)
    assert second.failure_beside is not None
    assert second.failure_beside.difference is None


def test_more_arms_need_more_evidence() -> None:
    two = [arm(500, 300, 5), arm(500, 352, 5)]
    assert findings(compare(two)[1])[0] is Finding.HIGHER
    assert findings(compare([*two, *[arm(500, 300, 5)] * 8])[1])[0] is Finding.CHANCE


def test_without_devices_nothing_is_known() -> None:
    assert compare([]) == []
    second = compare([Counts(), Counts()])[1]
    assert findings(second) == (Finding.TOO_FEW, Finding.TOO_FEW)
    assert second.completion[2:] == (0.0, 0.0, 1.0)


def test_equal_arms_rarely_differ_under_continuous_monitoring() -> None:
    """300 experiments of three arms, compared after every 25 devices of an arm.

    An interval for a single comparison finds a difference in most of them.
    """
    draw, runs = random.Random(20_261_124), 300
    false_alarms = sum(_ever_differs(draw) for _ in range(runs))
    # In theory 5 % at most: 15 of 300, plus two standard deviations.
    assert false_alarms <= runs * ALPHA + 8


def _ever_differs(draw: random.Random) -> bool:
    counts = [[0, 0, 0] for _ in range(3)]
    for _ in range(40):
        for each in counts:
            installed = sum(draw.random() < 0.6 for _ in range(25))
            failed = sum(draw.random() < 0.03 for _ in range(installed))
            for place, more in enumerate((25, installed, failed)):
                each[place] += more
        found = compare([arm(*each) for each in counts])
        if any({Finding.HIGHER, Finding.LOWER} & set(findings(each)) for each in found[1:]):
            return True
    return False
