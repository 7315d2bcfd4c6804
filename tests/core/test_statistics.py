"""Intervals, with values worked out by hand."""

from __future__ import annotations

import pytest

from ota.core.statistics import difference, wilson


def test_wilson_for_ten_of_a_hundred() -> None:
    # z^2 = 3.841459: middle (0.1 + 0.019207) / 1.038415 = 0.114797; half 1.887450 * sqrt(0.0009 + 0.000096036) = 0.059568.
    share = wilson(10, 100)
    assert share.rate == pytest.approx(0.1)
    assert (share.low, share.high) == (pytest.approx(0.05523, abs=1e-5), pytest.approx(0.17437, abs=1e-5))


def test_wilson_at_the_ends() -> None:
    # Of none in ten the upper end is z^2 / (10 + z^2) = 3.841459 / 13.841459.
    assert wilson(0, 10)[2:] == (0.0, 0.0, pytest.approx(0.277533, abs=1e-6))
    assert wilson(10, 10)[2:] == (1.0, pytest.approx(1 - 0.277533, abs=1e-6), 1.0)
    assert wilson(0, 0)[2:] == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(("count", "total"), [(-1, 10), (11, 10)])
def test_counts_that_can_not_be_are_refused(count: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"{count} of {total}"):
        wilson(count, total)


def test_the_difference_of_newcombes_own_example() -> None:
    # 56 of 70 against 48 of 80, the paper's first example: 0.2000, from 0.0524 to 0.3339.
    found = difference(wilson(56, 70), wilson(48, 80))
    assert found is not None
    assert found == (pytest.approx(0.2), pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))
    assert found.is_beyond_chance


def test_equal_shares_are_chance_and_few_devices_say_nothing() -> None:
    found = difference(wilson(5, 100), wilson(5, 100))
    assert found is not None
    assert not found.is_beyond_chance
    assert difference(wilson(20, 29), wilson(0, 1000)) is None
