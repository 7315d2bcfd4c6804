"""The gaps between the checks of a device, and the test for silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.core.health_tests import with_control
from ota.core.health_votes import Member, Policy
from ota.core.silence import UNKNOWN_GAP, at_risk_of_silence, longest_gap

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_the_longest_gap_covers_the_latest_gap_and_never_grows_otherwise(before: int, seconds: int) -> None:
    found = longest_gap(before, timedelta(seconds=seconds))
    assert seconds <= found <= max(before, seconds)


def test_a_clock_that_was_set_back_creates_no_gap() -> None:
    assert longest_gap(0, -HOUR) == 0


@pytest.mark.parametrize(("before", "checks"), [(60 * 3600, 32), (UNKNOWN_GAP, 81)])
def test_an_old_gap_fades(before: int, checks: int) -> None:
    gap = before
    for _ in range(checks):
        gap = longest_gap(gap, HOUR)
    assert gap <= 12 * 3600
    for _ in range(200):
        gap = longest_gap(gap, HOUR)
    assert gap == 3600


def test_no_device_is_at_risk_before_its_silence_could_show() -> None:
    after = timedelta(hours=24)
    crowd = [
        Member(START + number * timedelta(minutes=1), is_control=number % 10 > 0) for number in range(1_000)
    ]
    silent = [
        member._replace(failed_at=member.enrolled_at + HOUR) for member in crowd if not member.is_control
    ][:50]
    at_risk = at_risk_of_silence([*crowd, *silent], after)
    assert not with_control(at_risk, Policy(), START + timedelta(hours=23)).curve
    found = with_control(at_risk, Policy(), START + timedelta(hours=60))
    assert (found.failing_rollout, found.failing_control, found.is_bad) == (50, 0, True)


@pytest.mark.parametrize("silence", [timedelta(hours=-1), timedelta(days=31)])
def test_a_policy_with_an_impossible_silence_is_refused(silence: timedelta) -> None:
    with pytest.raises(ValueError, match="to 30 days"):
        Policy(silence=silence)
