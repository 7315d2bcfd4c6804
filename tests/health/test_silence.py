"""A build that does not even start reports nothing. The server notes that its devices stop checking."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from ota.apps import apps
from ota.core.health_votes import Policy
from ota.core.lifecycle import ReleaseState
from ota.core.silence import UNKNOWN_GAP
from ota.db import reader, transaction
from ota.health import findings
from ota.health import policy as health_policy
from ota.health.policy import Rules
from ota.history.audit import SYSTEM
from ota.models import Device, ReleaseDevice, ReleaseHealth
from ota.telemetry import counting, records
from tests.health import given
from tests.releases.given import START, begin, hours, look, make

DAY = timedelta(days=1)
LATER = START + hours(40)
Which = Callable[[int], bool]


@pytest.fixture
def release(in_app: Flask) -> int:
    """A release open to 10 %, in an app where a day of silence is a failure."""
    with transaction() as session:
        wanted = Rules(replace(Policy(), silence=hours(24)))
        health_policy.set_rules(session, SYSTEM, apps.find(session, None), wanted, now=START)
    return begin(make(2), rollout=1_000)


def nobody(number: int) -> bool:
    return False


def every(nth: int) -> Which:
    return lambda number: number % nth == 0


def fleet(
    release: int,
    *,
    silent: Which,
    silent_control: Which = nobody,
    devices: int = 200,
    control: int = 1_800,
    known_for: timedelta = 30 * DAY,
    longest_gap: int = 3_600,
    now: datetime = LATER,
) -> None:
    """Devices that were offered the release in its first hours, and its control.

    The silent ones checked for the last time three hours after that.
    """
    with transaction() as session:
        for is_control, count, is_silent in ((False, devices, silent), (True, control, silent_control)):
            for number in range(count):
                at, name = START + timedelta(seconds=10 * number), f"{number}-{is_control}"
                session.add(
                    ReleaseDevice(
                        release_id=release,
                        device_id=name,
                        is_control=is_control,
                        version_code=1 if is_control else 2,
                        offered_at=None if is_control else at,
                        enrolled_at=at,
                    )
                )
                session.add(
                    Device(
                        app_id=1,
                        platform="android",
                        device_hash=name,
                        app_version="1.0.0",
                        first_seen_at=START - known_for,
                        last_seen_at=at + hours(3) if is_silent(number) else now,
                        longest_gap=longest_gap,
                    )
                )


def evaluate(release: int, now: datetime = LATER) -> ReleaseHealth:
    return given.evaluate(release, now)


def silent_devices() -> int:
    reader().rollback()
    return len(
        reader().scalars(select(ReleaseDevice.device_id).where(ReleaseDevice.silent_at.is_not(None))).all()
    )


def test_a_release_whose_devices_stop_checking_is_halted_with_its_numbers(release: int) -> None:
    fleet(release, silent=every(8), silent_control=every(100))
    found = evaluate(release)
    assert (found.test, found.is_bad, look(release).state) == ("silence", True, ReleaseState.HALTED)
    assert re.findall(r"[\d,]*\d", findings.sentence(found))[:4] == ["25", "200", "18", "1,800"]
    assert found.threshold == pytest.approx(300)


def test_devices_that_stop_checking_for_other_reasons_do_so_in_the_control_too(release: int) -> None:
    fleet(release, silent=every(20), silent_control=every(20))
    found = evaluate(release)
    assert (found.is_bad, silent_devices()) == (False, 100)


def test_silence_is_no_failure_unless_the_policy_says_so(release: int) -> None:
    with transaction() as session:
        health_policy.set_rules(session, SYSTEM, apps.find(session, None), Rules(Policy()), now=START)
    fleet(release, silent=every(2))
    found = evaluate(release)
    assert (found.is_bad, silent_devices(), [each["test"] for each in found.tests]) == (False, 0, ["control"])


def test_a_release_for_all_devices_has_no_control_to_compare_silence_with(release: int) -> None:
    fleet(release, silent=every(2), control=0)
    found = evaluate(release)
    assert (found.is_bad, [each["test"] for each in found.tests]) == (False, ["alone"])


@pytest.mark.parametrize(
    ("known_for", "longest_gap"), [(30 * DAY, 13 * 3600), (2 * DAY, 3600), (30 * DAY, UNKNOWN_GAP)]
)
def test_the_silence_of_new_and_irregular_devices_counts_for_nothing(
    release: int, known_for: timedelta, longest_gap: int
) -> None:
    fleet(release, silent=every(2), known_for=known_for, longest_gap=longest_gap)
    assert not evaluate(release).is_bad
    assert silent_devices() == 0


def test_no_device_is_silent_while_checks_wait_to_be_counted(release: int) -> None:
    fleet(release, silent=every(8), now=START + hours(6))
    assert not evaluate(release).is_bad
    assert silent_devices() == 0


def test_a_device_that_was_offered_another_release_since_is_not_silent(release: int) -> None:
    fleet(release, silent=every(8), silent_control=every(100))
    other = begin(make(3), rollout=1_000, at=START + hours(2))
    with transaction() as session:
        for number in range(0, 200, 8):
            session.add(
                ReleaseDevice(
                    release_id=other,
                    device_id=f"{number}-False",
                    is_control=False,
                    version_code=3,
                    offered_at=START + hours(2),
                    enrolled_at=START + hours(2),
                )
            )
    assert not evaluate(release).is_bad
    assert silent_devices() == 18


def test_noted_silence_stays_when_the_device_checks_again(release: int) -> None:
    fleet(release, silent=every(8), silent_control=every(100))
    evaluate(release)
    with transaction() as session:
        session.execute(update(Device).values(last_seen_at=LATER))
    found = evaluate(release, LATER + hours(1))
    assert (found.is_bad, found.failing_rollout) == (True, 25)


def test_the_longest_gap_of_a_device_is_learned_from_its_checks(in_app: Flask, release: int) -> None:
    def ask(at: datetime) -> None:
        body = b'{"platform": "android", "current_version": "1.0.0+1", "device_id": "phone"}'
        record = records.check(body, records.answer_mark(1, None, "up_to_date"), at)
        with transaction() as session:
            counting.count(session, [record], secret="s", now=at)

    def gap() -> int:
        reader().rollback()
        return reader().scalars(select(Device.longest_gap)).one()

    ask(START)
    assert gap() == 0
    ask(START + hours(2))
    assert gap() == 7_200
    ask(START + hours(3))
    assert 3_600 < gap() < 7_200
    ask(START + hours(33))
    assert gap() == 30 * 3_600
