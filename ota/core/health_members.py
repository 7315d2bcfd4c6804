"""Who counts in the health tests of a release, from when to when: one device, one vote.

A device of the release is watched from the *last time it was offered the release while it ran something else*. It installs after that, so
no failure of the release comes before; and a check is told at once, by a device that will crash as by any other. (To begin with the first
report of the new version would take those that crash first: they report at once, the others with their next check.) A device that asks
again and still runs the old version moves on with each check: nothing of the time before can have been the release's.

A device of the control is watched from a check at which it was outside, for a window, and again from its first check in each further
turn of a day: whoever asks is in, as in the release.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from ota.core.health_tests import Member, Policy

TURN = timedelta(hours=24)
"""So often a device enters the control anew."""

TURNS_A_ROUND = 10_000
"""The turns of a new test, after a person resumed the release, never meet those of the one before."""

PATIENCE = 2
"""So many windows a device may let pass between its offer and the first sign of the version, and still be watched from the offer on."""


class Way(NamedTuple):
    """What is known of one device of a release. All times as `health.placed_at` gives them.

    ``offered_at`` is the last offer before it ran the release, ``installed_at`` the first sign that it does; ``failed_at`` the first
    failure of any kind, ``crashed_at`` the first one that a device of the control could have had too.
    """

    offered_at: datetime
    installed_at: datetime | None = None
    failed_at: datetime | None = None
    crashed_at: datetime | None = None
    left_at: datetime | None = None
    healthy_at: datetime | None = None


class Turn(NamedTuple):
    """A device of the control, from one of its checks on."""

    device: str
    asked_at: datetime
    failed_at: datetime | None = None
    left_at: datetime | None = None
    silent_at: datetime | None = None


def turn_of(at: datetime, started_at: datetime, rounds: int) -> int:
    """The number of the turn to which a check belongs; ``rounds`` tests of the release have ended."""
    return rounds * TURNS_A_ROUND + min(TURNS_A_ROUND - 1, max(0, int((at - started_at) / TURN)))


def compared(way: Way, policy: Policy) -> Member:
    """The device as it is held against the control: at risk until its window after the installation ends.

    While it is not known whether it has installed the release it counts as if it had, for that can only hide a difference. An
    installation that shows long after the offer is watched from its first sign on.
    """
    until = way.offered_at + (PATIENCE + 1) * policy.window
    offered = way.offered_at
    if way.installed_at is not None:
        if way.installed_at > way.offered_at + PATIENCE * policy.window:
            offered = way.installed_at
        until = way.installed_at + policy.window
    return Member(offered, way.crashed_at, left_at=way.left_at, healthy_at=way.healthy_at, until=until)


def alone(way: Way, policy: Policy) -> Member:
    """The device as it is held against the acceptable rate: has it failed within its window after the installation?"""
    began = way.installed_at or way.failed_at or way.offered_at
    return Member(
        way.offered_at,
        way.failed_at,
        left_at=way.left_at,
        healthy_at=way.healthy_at,
        until=began + policy.window,
    )


def control(turns: Iterable[Turn], policy: Policy) -> list[Member]:
    """The devices of the control, from their turns in order of devices and of time. A device that failed has cast its vote."""
    found: list[Member] = []
    before: Turn | None = None
    for turn in turns:
        is_same = before is not None and before.device == turn.device
        if is_same and found[-1].failed_at is not None:
            continue
        if is_same:
            found[-1] = found[-1]._replace(until=min(found[-1].until or turn.asked_at, turn.asked_at))
        until = turn.asked_at + policy.window
        failed_at = turn.failed_at if turn.failed_at is not None and turn.failed_at <= until else None
        found.append(Member(turn.asked_at, failed_at, is_control=True, left_at=turn.left_at, until=until))
        before = turn
    return found
