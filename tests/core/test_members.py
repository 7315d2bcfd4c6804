"""When a device counts in the health tests, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ota.core.health_members import (
    DAYS_PER_ROUND,
    ControlDay,
    Journey,
    alone,
    compared,
    control,
    control_day_of,
)
from ota.core.health_votes import Policy

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
POLICY = Policy()


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def test_a_device_is_at_risk_until_its_window_after_the_installation_ends() -> None:
    found = compared(Journey(at(1), installed_at=at(5), failed_at=at(2), crashed_at=at(6)), POLICY)
    assert (found.enrolled_at, found.failed_at, found.until) == (at(1), at(6), at(29))
    assert not found.is_control


def test_a_device_whose_installation_is_unknown_counts_as_if_it_had_installed() -> None:
    assert compared(Journey(at(1)), POLICY).until == at(73)


def test_an_installation_that_shows_long_after_the_offer_counts_from_its_first_sign_on() -> None:
    found = compared(Journey(at(0), installed_at=at(60)), POLICY)
    assert (found.enrolled_at, found.until) == (at(60), at(84))


def test_against_the_acceptable_rate_each_failure_in_the_window_counts() -> None:
    assert alone(Journey(at(0), failed_at=at(90)), POLICY).until == at(114)
    assert alone(Journey(at(0), installed_at=at(5), failed_at=at(6)), POLICY)[:2] == (at(0), at(6))
    assert alone(Journey(at(0)), POLICY).until == at(24)


def test_a_control_day_ends_when_the_next_one_begins_and_a_failure_is_the_only_vote() -> None:
    days = [
        ControlDay("a", at(0)),
        ControlDay("a", at(20)),
        ControlDay("a", at(50), failed_at=at(51)),
        ControlDay("a", at(80)),
        ControlDay("b", at(1), failed_at=at(30)),
    ]
    found = control(days, POLICY)
    assert [(each.enrolled_at, each.until, each.failed_at) for each in found] == [
        (at(0), at(20), None),
        (at(20), at(44), None),
        (at(50), at(74), at(51)),
        (at(1), at(25), None),
    ]
    assert all(each.is_control for each in found)


def test_control_days_of_a_new_test_differ_from_those_of_the_test_before() -> None:
    assert [control_day_of(at(hours), START, 0) for hours in (-1, 0, 23.9, 24)] == [0, 0, 0, 1]
    assert control_day_of(at(24), START, 1) == DAYS_PER_ROUND + 1
    assert control_day_of(at(24 * 20_000), START, 0) < DAYS_PER_ROUND
