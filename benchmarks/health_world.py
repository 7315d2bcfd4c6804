"""Simulated releases for `benchmarks.health`: devices, the reports that arrive, and what the server
concludes.

A device checks a few times a day. Devices inside the rollout are offered the release, install it at once or
later, report a crash at once, and report the installation late or never. A tenth of all reports is lost, a
tenth arrives twice, and a tenth is hours late.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from ota.core import health_members
from ota.core.health_members import CONTROL_DAY, ControlDay, Journey, control_day_of
from ota.core.health_votes import Member, Policy, placed_at

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOUR = 3600.0
DAYS = 3
NEVER = 1e9


class Kind(IntEnum):
    OFFERED = 0
    ASKED = 1
    RUNS_IT = 2
    CRASHED = 3
    CRASHED_BEFORE = 4
    """A crash on the version before."""


@dataclass(frozen=True)
class World:
    """How devices and reports behave. Times are in hours."""

    rollout: int = 500
    control: int = 4_500
    rate: float = 0.02
    """Share of devices that crash within a day, before a bad release multiplies it."""
    times: float = 1.0
    """The factor by which more devices crash on the release."""
    first_crash: float = 4.0
    """Mean time to the crash, from the installation or from the first check of a day."""
    installs: float = 1.0
    """Share of devices that install an offer. The others are offered it again with their next check."""
    installs_after: float = 0.5
    """Mean time from the offer to the installation."""
    told_after: float = 1.0
    """Mean delay of the report of an installation. 0: no report, only the next check shows it."""
    check_every: float = 8.0
    opens_at: float = NEVER
    """When the release is opened to everybody."""
    idle: float = 0.0
    """Share of devices that check, and crash, a tenth as often."""
    lost: float = 0.1
    twice: float = 0.1
    late: float = 0.1


class Report(NamedTuple):
    """One message of a device. Times are seconds after the start."""

    received: float
    happened: float
    device: int
    kind: Kind


def reports_of(world: World, draw: random.Random) -> list[Report]:
    """Return all reports that arrive, in order of arrival."""
    arrived: list[Report] = []
    day_seconds = CONTROL_DAY.total_seconds()
    for device in range(world.rollout + world.control):
        day = -1
        for delay, happened, kind in _life(world, draw, is_inside=device < world.rollout):
            if draw.random() < world.lost:
                continue
            if kind is Kind.ASKED:
                if day == (day := int(happened * HOUR / day_seconds)):
                    continue  # Only the first check of a control day counts.
                arrived.append(Report(happened * HOUR, happened * HOUR, device, kind))
                continue
            for _ in range(2 if draw.random() < world.twice else 1):
                slow = draw.expovariate(0.5) if delay is not None and draw.random() < world.late else 0.0
                received = happened + (delay or 0.0) + slow
                arrived.append(Report(received * HOUR, happened * HOUR, device, kind))
    arrived.sort()
    return arrived


def _life(
    world: World, draw: random.Random, *, is_inside: bool
) -> Iterator[tuple[float | None, float, Kind]]:
    """Yield what one device does: the usual delay of its report, the moment and the kind.

    The delay of a check is None, because the server answers it at once.
    """
    slower = 10.0 if draw.random() < world.idle else 1.0
    at, installed = draw.random() * 24 * slower, NEVER
    next_day = at
    while at < 24 * DAYS:
        is_open = is_inside or at >= world.opens_at
        if at < installed and at >= next_day:
            next_day = at + 24 * slower
            yield from _crashes(world, draw, at, world.rate, Kind.CRASHED_BEFORE)
        if at >= installed:
            yield None, at, Kind.RUNS_IT
        elif is_open:
            yield None, at, Kind.OFFERED
            if draw.random() < world.installs:
                installed = at + draw.expovariate(1 / world.installs_after)
                if world.told_after:
                    yield draw.expovariate(1 / world.told_after), installed, Kind.RUNS_IT
                yield from _crashes(world, draw, installed, min(0.95, world.rate * world.times), Kind.CRASHED)
        else:
            yield None, at, Kind.ASKED
        at += world.check_every * slower * (0.8 + 0.4 * draw.random())


def _crashes(
    world: World, draw: random.Random, since: float, rate: float, kind: Kind
) -> Iterator[tuple[float | None, float, Kind]]:
    if draw.random() >= rate:
        return
    after = draw.expovariate(1 / world.first_crash)
    while after >= 24:
        after = draw.expovariate(1 / world.first_crash)
    for _ in range(1 if draw.random() < 0.5 else 3):
        yield draw.expovariate(60.0), since + after, kind
        after += draw.expovariate(0.5)


class Crowd(NamedTuple):
    """What the server knows of the devices of the release and of its control group.

    Corresponds to `ota.health.evaluate.observe`.
    """

    journeys: list[Journey]
    days: list[ControlDay]


def crowd_of(reports: Iterable[Report], world: World, policy: Policy) -> Crowd:
    """Return what the server concludes from reports, which must be in order of arrival."""
    journeys: dict[int, Journey] = {}
    days: dict[tuple[int, int], ControlDay] = {}
    opened = START + timedelta(hours=world.opens_at) if world.opens_at < NEVER else None
    for report in reports:
        at = placed_at(
            START + timedelta(seconds=report.happened), START + timedelta(seconds=report.received), policy
        )
        journey = journeys.get(report.device)
        if report.kind is Kind.OFFERED:
            if journey is None or (journey.installed_at is None and journey.failed_at is None):
                journeys[report.device] = Journey(at)
            _leave(days, report.device, at)
        elif report.kind is Kind.ASKED:
            day = control_day_of(at, START, 0)
            days.setdefault((report.device, day), ControlDay(f"{report.device:06}", at, left_at=opened))
        elif report.kind is Kind.CRASHED_BEFORE:
            _fail(days, report.device, at)
        elif journey is not None:
            journeys[report.device] = _moved(journey, report.kind, max(at, journey.offered_at))
    return Crowd(list(journeys.values()), [days[key] for key in sorted(days)])


def _moved(journey: Journey, kind: Kind, at: datetime) -> Journey:
    """Return the journey with one more report. A crash, too, shows that the device runs the release."""
    installed = at if journey.installed_at is None else journey.installed_at
    if kind is Kind.RUNS_IT:
        return journey._replace(installed_at=installed)
    failed = at if journey.failed_at is None else journey.failed_at
    return journey._replace(installed_at=installed, failed_at=failed, crashed_at=failed)


def _fail(days: dict[tuple[int, int], ControlDay], device: int, at: datetime) -> None:
    for number in range(DAYS, -1, -1):
        day = days.get((device, number))
        if day is not None and day.asked_at <= at:
            if day.failed_at is None and (day.left_at is None or at < day.left_at):
                days[device, number] = day._replace(failed_at=at)
            return


def _leave(days: dict[tuple[int, int], ControlDay], device: int, at: datetime) -> None:
    for number in range(DAYS + 1):
        day = days.get((device, number))
        if day is not None and day.left_at is None:
            days[device, number] = day._replace(left_at=at)


def compared(crowd: Crowd, policy: Policy) -> list[Member]:
    """Return the members for the test with a control group."""
    return [
        *(health_members.compared(journey, policy) for journey in crowd.journeys),
        *health_members.control(crowd.days, policy),
    ]


def alone(crowd: Crowd, policy: Policy, since: datetime = START) -> list[Member]:
    """Return the members for the test without one: devices that enrolled after it was opened to everybody."""
    return [health_members.alone(each, policy) for each in crowd.journeys if each.offered_at >= since]
