"""Which devices count in the health tests of a release, and from when to when: one device, one vote.

A device of the release is observed from its enrollment, *the last time it was offered the release while it
ran another version*. It installs the release after that, so no failure of the release comes before. Devices
that will crash check like all others, so the server learns of both alike. (Observing devices from their first
report of the new version would favor those that crash first: they report at once, the others with their next
check.) A device that checks again and still runs the old version moves on with each check: no failure before
can have been the release's.

A device of the control group is observed for a window from a check at which it was outside the rollout, and
again from its first check on each further control day. Checking is what enrolls it, as in the release.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from ota.core.health_votes import Member, Policy

CONTROL_DAY = timedelta(hours=24)
"""How often a device enters the control group again."""

DAYS_PER_ROUND = 10_000
"""Keeps the control days of one test apart from those of the next, after a person resumed the release."""

PATIENCE = 2
"""Windows that can pass from an offer to the first sign of the version, if the offer is the enrollment."""


class Journey(NamedTuple):
    """What is known of one device in a release. All times are those of `placed_at`.

    ``offered_at`` is the last offer before it ran the release, ``installed_at`` the first sign that it does.
    ``failed_at`` is its first failure of any kind, ``crashed_at`` the first one that a device of the control
    group could have had too.
    """

    offered_at: datetime
    installed_at: datetime | None = None
    failed_at: datetime | None = None
    crashed_at: datetime | None = None
    left_at: datetime | None = None
    healthy_at: datetime | None = None


class ControlDay(NamedTuple):
    """One entry of a device into the control group, with one of its checks."""

    device: str
    asked_at: datetime
    failed_at: datetime | None = None
    left_at: datetime | None = None


def control_day_of(at: datetime, started_at: datetime, rounds: int) -> int:
    """Return the number of a check's control day. ``rounds``: tests of the release that have ended."""
    return rounds * DAYS_PER_ROUND + min(DAYS_PER_ROUND - 1, max(0, int((at - started_at) / CONTROL_DAY)))


def compared(journey: Journey, policy: Policy) -> Member:
    """Return a device of the release for the comparison with the control group.

    It is at risk until its window after the installation ends. While its installation is unknown it counts as
    if it had installed the release, which can only hide a difference. If the installation shows long after
    the offer, the device is observed from that first sign on.
    """
    enrolled_at, until = journey.offered_at, journey.offered_at + (PATIENCE + 1) * policy.window
    if journey.installed_at is not None:
        if journey.installed_at > journey.offered_at + PATIENCE * policy.window:
            enrolled_at = journey.installed_at
        until = journey.installed_at + policy.window
    return Member(
        enrolled_at,
        journey.crashed_at,
        left_at=journey.left_at,
        healthy_at=journey.healthy_at,
        until=until,
    )


def alone(journey: Journey, policy: Policy) -> Member:
    """Return a device of the release for the test against the acceptable rate.

    Its failure counts within its window after the installation.
    """
    installed_at = journey.installed_at or journey.failed_at or journey.offered_at
    return Member(
        journey.offered_at,
        journey.failed_at,
        left_at=journey.left_at,
        healthy_at=journey.healthy_at,
        until=installed_at + policy.window,
    )


def control(days: Iterable[ControlDay], policy: Policy) -> list[Member]:
    """Return the devices of the control group, from their control days in order of device and time.

    A device that failed has cast its vote: its later days do not count.
    """
    members: list[Member] = []
    previous: ControlDay | None = None
    for day in days:
        is_same = previous is not None and previous.device == day.device
        if is_same and members[-1].failed_at is not None:
            continue
        if is_same:
            until = min(members[-1].until or day.asked_at, day.asked_at)
            members[-1] = members[-1]._replace(until=until)
        members.append(_on(day, policy))
        previous = day
    return members


def _on(day: ControlDay, policy: Policy) -> Member:
    until = day.asked_at + policy.window
    failed_at = day.failed_at if day.failed_at is not None and day.failed_at <= until else None
    return Member(day.asked_at, failed_at, is_control=True, left_at=day.left_at, until=until)
