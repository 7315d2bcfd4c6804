"""Intervals, compared with values calculated by hand."""

from __future__ import annotations

import pytest

from ota.core.statistics import difference, wilson


def test_wilson_for_ten_of_a_hundred() -> None:
    # z^2 = 3.841459: middle (0.1 + 0.019207) / 1.038415 = 0.114797,
    # half 1.887450 * sqrt(0.0009 + 0.000096036) = 0.059568.
    share = wilson(10, 100)
    assert share.rate == pytest.approx(0.1)
    assert (share.low, share.high) == (pytest.approx(0.05523, abs=1e-5), pytest.approx(0.17437, abs=1e-5))


def test_wilson_at_the_ends() -> None:
    # The upper end of 0 in 10 is z^2 / (10 + z^2) = 3.841459 / 13.841459.
    assert wilson(0, 10)[2:] == (0.0, 0.0, pytest.approx(0.277533, abs=1e-6))
    assert wilson(10, 10)[2:] == (1.0, pytest.approx(1 - 0.277533, abs=1e-6), 1.0)
    assert wilson(0, 0)[2:] == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(("count", "total"), [(-1, 10), (11, 10)])
def test_impossible_counts_are_refused(count: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"{count} of {total}"):
        wilson(count, total)


def test_a_difference_calculated_by_hand() -> None:
    # Rates (300 + 1) / 502 and (250 + 1) / 502: variance (0.240060 + 0.250000) / 500 = 0.000980120. With 0.05
    # squared = 0.0025, half of the interval is sqrt(0.00098012 * 0.00348012 / 0.0025 * (2 ln 20 +
    # ln(3.550708))) = sqrt(0.00136437 * 7.258635) = 0.099516.
    found = difference(wilson(300, 500), wilson(250, 500), scale=0.05, alpha=0.05)
    assert found == (
        pytest.approx(0.1),
        pytest.approx(0.1 - 0.099516, abs=2e-5),
        pytest.approx(0.1 + 0.099516, abs=2e-5),
    )
    assert found.is_beyond_chance
    stricter = difference(wilson(300, 500), wilson(250, 500), scale=0.05, alpha=0.025)
    assert stricter is not None
    assert not stricter.is_beyond_chance


def test_equal_shares_are_chance_and_few_devices_give_no_difference() -> None:
    found = difference(wilson(5, 100), wilson(5, 100), scale=0.05, alpha=0.05)
    assert found is not None
    assert not found.is_beyond_chance
    assert difference(wilson(20, 99), wilson(0, 1000), scale=0.05, alpha=0.05) is None


def test_an_interval_stays_between_minus_one_and_one() -> None:
    found = difference(wilson(100, 100), wilson(0, 100), scale=0.001, alpha=1e-9)
    assert found is not None
    assert found.high == 1.0
    assert found.low < 1.0
