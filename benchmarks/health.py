"""How often the health tests halt good releases, and how soon bad ones: ``python -m benchmarks.health [releases] [--seed 1]
[--must-hold]``.

Each release is drawn with all that goes wrong between a device and the server: devices come over a day, a crash is told at once and an
installation late, and a tenth of all reports is lost, a tenth comes twice, a tenth is hours late. From what has arrived the members are
made as the server makes them (one vote per device, the first failure wins, times by ``placed_at``), and each test is asked once, at the
end: its verdict is bad exactly if it was at any look before, because no report changes what was looked at already
(``looked_at_always`` asks at each arrival instead; tests/core/test_health.py holds the two side by side).
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from ota.core.health import Member, Policy, Verdict, placed_at, with_control, without_control

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
LAST_LOOK = START + timedelta(days=5)
HOUR = 3600.0
BASELINE = 0.02
MOST_GOOD_HALTED = 0.013

Test = Callable[[Iterable[Member], Policy, datetime], Verdict]


@dataclass(frozen=True)
class World:
    """How devices and reports behave. Times in hours."""

    rollout: int = 500
    control: int = 4_500
    rate: float = BASELINE
    """Share of devices that fail within a day, before a bad release multiplies it."""
    times: float = 1.0
    """So many times as many devices fail on the release."""
    first_crash: float = 4.0
    """Mean time from enrolment to the failure of a device that fails."""
    installed_late: float = 1.0
    """Mean delay of the report of an installation; a crash is reported within a minute or so."""
    control_is_seen_at_once: bool = True
    """A device of the control is seen by its check, which is answered at once; if not, it is as late as the rollout."""
    lost: float = 0.1
    twice: float = 0.1
    late: float = 0.1
    check_every: float = 6.0
    control_comes_within: float = 24.0
    """The rollout always comes within a day."""


class Report(NamedTuple):
    """One message of a device, in seconds after the start."""

    received: float
    happened: float
    device: int
    is_failure: bool


def reports_of(world: World, draw: random.Random) -> list[Report]:
    """All reports that arrive, in order of arrival."""
    arrived: list[Report] = []
    for device in range(world.rollout + world.control):
        is_control = device >= world.rollout
        enrolled = draw.random() * (world.control_comes_within if is_control else 24.0)
        at_once = is_control and world.control_is_seen_at_once
        _send(arrived, world, draw, Report(0.0 if at_once else draw.expovariate(1 / world.installed_late), enrolled, device, False))
        # Each later check tells the same again: the device runs this version.
        for number in range(1, 4):
            happened = enrolled + number * world.check_every * (0.8 + 0.4 * draw.random())
            _send(arrived, world, draw, Report(0.0, happened if at_once else enrolled, device, False), happened)
        rate = world.rate if is_control else min(0.95, world.rate * world.times)
        if draw.random() < rate:
            after = draw.expovariate(1 / world.first_crash)
            while after >= 24:
                after = draw.expovariate(1 / world.first_crash)
            for _ in range(1 if draw.random() < 0.5 else 3):
                _send(arrived, world, draw, Report(draw.expovariate(60.0), enrolled + after, device, True))
                after += draw.expovariate(0.5)
    arrived.sort()
    return arrived


def _send(arrived: list[Report], world: World, draw: random.Random, report: Report, sent: float | None = None) -> None:
    """Puts a report among those that arrive, unless it is lost; ``report.received`` is its usual delay."""
    if draw.random() < world.lost:
        return
    leaves = (report.happened if sent is None else sent) + report.received
    for _ in range(2 if draw.random() < world.twice else 1):
        slow = draw.expovariate(0.5) if draw.random() < world.late else 0.0
        arrived.append(Report((leaves + slow) * HOUR, report.happened * HOUR, report.device, report.is_failure))


def members_of(reports: Iterable[Report], world: World, policy: Policy) -> list[Member]:
    """What the server makes of the reports: one member per device that has said anything."""
    settling = policy.settling.total_seconds()
    enrolled: dict[int, float] = {}
    failed: dict[int, float] = {}
    for report in reports:
        placed = max(report.happened, report.received - settling)
        if placed < enrolled.get(report.device, 1e12):
            enrolled[report.device] = placed
        if report.is_failure and placed < failed.get(report.device, 1e12):
            failed[report.device] = placed
    return [
        Member(
            enrolled_at=START + timedelta(seconds=at),
            failed_at=START + timedelta(seconds=failed[device]) if device in failed else None,
            is_control=device >= world.rollout,
        )
        for device, at in enrolled.items()
    ]


def members_placed(reports: Iterable[Report], world: World, policy: Policy) -> list[Member]:
    """As ``members_of``, slower, by ``placed_at`` itself."""
    enrolled: dict[int, datetime] = {}
    failed: dict[int, datetime] = {}
    for report in reports:
        at = placed_at(START + timedelta(seconds=report.happened), START + timedelta(seconds=report.received), policy)
        enrolled[report.device] = min(at, enrolled.get(report.device, at))
        if report.is_failure:
            failed[report.device] = min(at, failed.get(report.device, at))
    return [Member(at, failed.get(device), device >= world.rollout) for device, at in enrolled.items()]


def looked_at_always(test: Test, reports: Sequence[Report], world: World, policy: Policy) -> datetime | None:
    """When the release is halted if the test is asked after each failure and every 10 minutes, each time with what has arrived by then."""
    looks = {number * 600.0 for number in range(6 * 24 * 5)} | {report.received for report in reports if report.is_failure}
    for look in sorted(looks):
        now = START + timedelta(seconds=look)
        if test(members_placed([report for report in reports if report.received <= look], world, policy), policy, now).is_bad:
            return now
    return None


def hours_to_halt(test: Test, members: Sequence[Member], policy: Policy) -> float | None:
    """Hours from the start to the first moment at which the test says bad, to a minute; None if it never does."""
    if not test(members, policy, LAST_LOOK).is_bad:
        return None
    low, high = 0, int((LAST_LOOK - START) / timedelta(minutes=1))
    while low < high:
        middle = (low + high) // 2
        if test(members, policy, START + timedelta(minutes=middle)).is_bad:
            high = middle
        else:
            low = middle + 1
    return low / 60


def plain_rule_halts(reports: Iterable[Report], world: World, policy: Policy, *, devices: int = 20) -> bool:
    """ "Twice the usual rate of crashes, once 20 devices have reported", looked at with every report."""
    seen: set[int] = set()
    failed: set[int] = set()
    for report in reports:
        if report.device >= world.rollout:
            continue
        seen.add(report.device)
        if report.is_failure:
            failed.add(report.device)
        if len(seen) >= devices and len(failed) > 2 * BASELINE * len(seen):
            return True
    return False


class Outcome(NamedTuple):
    """One release: hours to the halt by each test (None: not halted), and whether plain rules would have halted it."""

    with_control: float | None
    without_control: float | None
    server: float | None
    """By whichever speaks first, each with half of the alpha: that is what the server does."""

    plain: tuple[bool, bool, bool]


def one(world: World, policy: Policy, seed: int) -> Outcome:
    """Draws one release and asks all tests."""
    reports = reports_of(world, random.Random(seed))
    members = members_of(reports, world, policy)
    alone = [member for member in members if not member.is_control]
    plain = tuple(plain_rule_halts(reports, world, policy, devices=count) for count in (20, 50, 100))
    halved = replace(policy, alpha=policy.alpha / 2)
    first = [at for at in (hours_to_halt(with_control, members, halved), hours_to_halt(without_control, alone, halved)) if at is not None]
    return Outcome(
        hours_to_halt(with_control, members, policy), hours_to_halt(without_control, alone, policy), min(first, default=None),
        (plain[0], plain[1], plain[2]),
    )  # fmt: skip


def many(world: World, policy: Policy, releases: int, seed: int, workers: int = 1) -> list[Outcome]:
    """So many releases, each from a seed of its own."""
    seeds = range(seed * 1_000_000, seed * 1_000_000 + releases)
    if workers == 1:
        return [one(world, policy, number) for number in seeds]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(partial(one, world, policy), seeds, chunksize=20))


def _told(name: str, hours: Sequence[float | None]) -> str:
    halted = sorted(at for at in hours if at is not None)
    text = f"  {name:<16} {len(halted):>6} of {len(hours)} halted ({len(halted) / len(hours):.2%})"
    if not halted:
        return text
    return text + f", median after {statistics.median(halted):.1f} h, nine in ten within {halted[int(0.9 * (len(halted) - 1))]:.1f} h"


def show(title: str, outcomes: Sequence[Outcome]) -> None:
    print(title)
    print(_told("with control", [outcome.with_control for outcome in outcomes]))
    print(_told("without control", [outcome.without_control for outcome in outcomes]))
    print(_told("the server", [outcome.server for outcome in outcomes]))
    shares = [sum(outcome.plain[place] for outcome in outcomes) / len(outcomes) for place in range(3)]
    print(
        "  plain rule (twice the usual rate): "
        + ", ".join(f"{share:.1%} after {n}" for share, n in zip(shares, (20, 50, 100), strict=True)),
        flush=True,
    )


def broken(times: float, outcomes: Sequence[Outcome]) -> list[str]:
    """What was promised and does not hold of these releases, in sentences: no test halts too many good ones, the server each bad one."""
    found = []
    for name in ("with_control", "without_control", "server"):
        halted = sum(getattr(outcome, name) is not None for outcome in outcomes)
        if times == 1 and halted > MOST_GOOD_HALTED * len(outcomes):
            found.append(f"{name}: {halted} of {len(outcomes)} good releases were halted, more than {MOST_GOOD_HALTED:.1%}")
        if times > 1 and name == "server" and halted < len(outcomes):
            found.append(f"{name}: {len(outcomes) - halted} of {len(outcomes)} releases with {times:g} times the failures were not halted")
    return found


def main() -> int:
    """Answers the exit status: 1 with ``--must-hold`` when a promise does not hold."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument(
        "releases", nargs="?", type=int, default=1_000, help="good releases to draw (default 1000); a tenth as many bad ones"
    )
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--settling", type=float, default=Policy().settling / timedelta(hours=1), help="hours")
    asked.add_argument("--installed-late", type=float, default=World().installed_late, help="mean delay of an installation's report, hours")
    asked.add_argument("--first-crash", type=float, default=World().first_crash, help="mean time to a crash, hours")
    asked.add_argument("--control-within", type=float, default=24.0, help="hours within which the control is seen")
    asked.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked.add_argument("--must-hold", action="store_true", help="fail when too many good releases are halted, or a bad one is not")
    given = asked.parse_args()
    wrong: list[str] = []
    policy = Policy(settling=timedelta(hours=given.settling))
    for times in (1.0, 5.0, 10.0):
        world = World(
            times=times, installed_late=given.installed_late, first_crash=given.first_crash, control_comes_within=given.control_within
        )
        count = given.releases if times == 1 else max(1, given.releases // 10)
        outcomes = many(world, policy, count, given.seed, given.workers)
        show("good releases" if times == 1 else f"{times:g} times as many failures", outcomes)
        wrong += broken(times, outcomes)
    for sentence in wrong:
        print(sentence)
    return 1 if wrong and given.must_hold else 0


if __name__ == "__main__":
    raise SystemExit(main())
