"""Made-up releases for `benchmarks.health`: how devices behave, what of it arrives, and what the server makes of that.

A device checks a few times a day. Those that the release is open to are offered it, install it at once or later, crash and tell so at once,
and tell that they have installed it late or not at all; a tenth of all reports is lost, a tenth comes twice, a tenth is hours late.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

from ota.core import health_members
from ota.core.health_members import TURN, Turn, Way, turn_of
from ota.core.health_tests import Policy, placed_at

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
    """On the version before."""


@dataclass(frozen=True)
class World:
    """How devices and reports behave. Times in hours."""

    rollout: int = 500
    control: int = 4_500
    rate: float = 0.02
    """Share of devices that crash within a day, before a bad release multiplies it."""
    times: float = 1.0
    """So many times as many devices crash on the release."""
    first_crash: float = 4.0
    """Mean time from the installation (or from the first check of a day) to the crash of a device that crashes."""
    installs: float = 1.0
    """Share of devices that install it when they are offered it; the others are asked again with their next check."""
    installs_after: float = 0.5
    """Mean time from the offer to the installation."""
    told_after: float = 1.0
    """Mean delay of the report of an installation; 0: the app reports none, only its next check shows it."""
    check_every: float = 8.0
    opens_at: float = NEVER
    """Then the release is opened to everybody."""
    idle: float = 0.0
    """Share of devices that check, and crash, a tenth as often."""
    lost: float = 0.1
    twice: float = 0.1
    late: float = 0.1


class Report(NamedTuple):
    """One message of a device, in seconds after the start."""

    received: float
    happened: float
    device: int
    kind: Kind


def reports_of(world: World, draw: random.Random) -> list[Report]:
    """All reports that arrive, in order of arrival."""
    arrived: list[Report] = []
    turn_seconds = TURN.total_seconds()
    for device in range(world.rollout + world.control):
        turn = -1
        for delay, happened, kind in _life(world, draw, is_inside=device < world.rollout):
            if draw.random() < world.lost:
                continue
            if kind is Kind.ASKED:
                if turn == (turn := int(happened * HOUR / turn_seconds)):
                    continue  # The first check of a turn is all that counts.
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
    """What one device does: usual delay of its report (None: a check, which the server answers at once), moment and kind."""
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
    """What the server knows: the devices of the release and those of its control. See `ota.health.evaluate.observe`."""

    ways: list[Way]
    turns: list[Turn]


def crowd_of(reports: Iterable[Report], world: World, policy: Policy) -> Crowd:
    """What the server makes of reports, which come in order of arrival."""
    ways: dict[int, Way] = {}
    turns: dict[tuple[int, int], Turn] = {}
    opened = START + timedelta(hours=world.opens_at) if world.opens_at < NEVER else None
    for report in reports:
        at = placed_at(
            START + timedelta(seconds=report.happened), START + timedelta(seconds=report.received), policy
        )
        way = ways.get(report.device)
        if report.kind is Kind.OFFERED:
            if way is None or (way.installed_at is None and way.failed_at is None):
                ways[report.device] = Way(at)
            _leave(turns, report.device, at)
        elif report.kind is Kind.ASKED:
            turn = turn_of(at, START, 0)
            turns.setdefault((report.device, turn), Turn(f"{report.device:06}", at, left_at=opened))
        elif report.kind is Kind.CRASHED_BEFORE:
            _fail(turns, report.device, at)
        elif way is not None:
            ways[report.device] = _moved(way, report.kind, max(at, way.offered_at))
    return Crowd(list(ways.values()), [turns[key] for key in sorted(turns)])


def _moved(way: Way, kind: Kind, at: datetime) -> Way:
    """The way with one report more. A crash shows too that the device runs the release."""
    installed = at if way.installed_at is None else way.installed_at
    if kind is Kind.RUNS_IT:
        return way._replace(installed_at=installed)
    failed = at if way.failed_at is None else way.failed_at
    return way._replace(installed_at=installed, failed_at=failed, crashed_at=failed)


def _fail(turns: dict[tuple[int, int], Turn], device: int, at: datetime) -> None:
    for number in range(DAYS, -1, -1):
        turn = turns.get((device, number))
        if turn is not None and turn.asked_at <= at:
            if turn.failed_at is None and (turn.left_at is None or at < turn.left_at):
                turns[device, number] = turn._replace(failed_at=at)
            return


def _leave(turns: dict[tuple[int, int], Turn], device: int, at: datetime) -> None:
    for number in range(DAYS + 1):
        turn = turns.get((device, number))
        if turn is not None and turn.left_at is None:
            turns[device, number] = turn._replace(left_at=at)


def compared(crowd: Crowd, policy: Policy) -> list[health_members.Member]:
    """Those whom the test with a control looks at."""
    return [
        *(health_members.compared(way, policy) for way in crowd.ways),
        *health_members.control(crowd.turns, policy),
    ]


def alone(crowd: Crowd, policy: Policy, since: datetime = START) -> list[health_members.Member]:
    """Those whom the test without a control looks at: that came when the release was open to everybody."""
    return [health_members.alone(way, policy) for way in crowd.ways if way.offered_at >= since]
