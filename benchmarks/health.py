"""How often the health tests halt good releases, and how soon bad ones.

Run ``python -m benchmarks.health [releases] [--seed 1] [--must-hold]``. Each release is simulated with all
that goes wrong between a device and the server (`benchmarks.health_world`), and judged by the server's own
tests. One evaluation at the end is enough to tell whether the release was ever found bad, because later
reports can only add to the evidence. To find out when, the tests are repeated with the reports that had
arrived by then.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from benchmarks.health_world import (
    DAYS,
    NEVER,
    START,
    Crowd,
    Kind,
    Report,
    World,
    alone,
    compared,
    crowd_of,
    reports_of,
)
from ota.core.health_tests import with_control, without_control
from ota.core.health_votes import Policy

LAST_LOOK = START + timedelta(days=DAYS)
MOST_GOOD_HALTED = 0.013
LOOKS_EVERY = 10
"""Minutes between two evaluations."""

WORLDS = {
    "open to a tenth": World(),
    "open to everybody": World(control=0),
    "open to a tenth, one offer in two is taken": World(installs=0.5),
    "open to a tenth, an app that always crashes on 5 %": World(rate=0.05),
    "open to a tenth, to everybody a day later, half of the devices seldom used": World(
        rate=0.01, opens_at=24.0, idle=0.5
    ),
    "open to everybody, an app that reports crashes only and checks once a day": World(
        control=0, rate=0.01, told_after=0.0, check_every=24.0
    ),
}
"""In all worlds good releases are left alone. In the first two, every bad release is halted as well."""

PROMISED = 2
TIMED = 50


def is_bad(crowd: Crowd, world: World, policy: Policy, now: datetime) -> bool:
    """Return the server's verdict, as `ota.health.evaluate.run` finds it."""
    shared = replace(policy, alpha=policy.alpha / 2)
    if not crowd.days:
        return without_control(alone(crowd, policy), shared, now).is_bad
    if with_control(compared(crowd, policy), shared, now).is_bad:
        return True
    since = START + timedelta(hours=world.opens_at) if world.opens_at < NEVER else LAST_LOOK
    return without_control(alone(crowd, policy, since), shared, now).is_bad


def hours_to_halt(
    reports: Sequence[Report], world: World, policy: Policy, *, is_timed: bool = True
) -> float | None:
    """Return the hours from the start until the release is found bad, or None if it never is.

    Without ``is_timed``, return any number if it ever is.
    """
    arrivals = [report.received for report in reports]

    def is_bad_at(minutes: int) -> bool:
        known = reports[: bisect_right(arrivals, minutes * 60.0)]
        return is_bad(crowd_of(known, world, policy), world, policy, START + timedelta(minutes=minutes))

    low, high = 0, int((LAST_LOOK - START) / timedelta(minutes=LOOKS_EVERY))
    if not is_bad_at(high * LOOKS_EVERY):
        return None
    if not is_timed:
        return high * LOOKS_EVERY / 60
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_bad_at(middle * LOOKS_EVERY) else (middle + 1, high)
    return low * LOOKS_EVERY / 60


def plain_rule_halts(reports: Iterable[Report], world: World, *, devices: int) -> bool:
    """Return whether a plain rule halts the release.

    The rule is "more than twice the usual rate of crashes, once ``devices`` have reported", evaluated with
    every report.
    """
    known: set[int] = set()
    failed: set[int] = set()
    for report in reports:
        if report.device >= world.rollout or report.kind not in (Kind.RUNS_IT, Kind.CRASHED):
            continue
        known.add(report.device)
        if report.kind is Kind.CRASHED:
            failed.add(report.device)
        if len(known) >= devices and len(failed) > 2 * world.rate * len(known):
            return True
    return False


class Outcome(NamedTuple):
    """One release: hours until the server halts it (None: never), and whether the plain rule does."""

    server: float | None
    plain: bool


def one(world: World, policy: Policy, seed: int) -> Outcome:
    """Simulate one release."""
    reports = reports_of(world, random.Random(seed))
    is_timed = seed % 1_000_000 < TIMED
    return Outcome(
        hours_to_halt(reports, world, policy, is_timed=is_timed), plain_rule_halts(reports, world, devices=20)
    )


def many(world: World, policy: Policy, releases: int, seed: int, workers: int = 1) -> list[Outcome]:
    """Simulate releases, each from its own seed. The first `TIMED` are timed."""
    seeds = range(seed * 1_000_000, seed * 1_000_000 + releases)
    if workers == 1:
        return [one(world, policy, number) for number in seeds]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(partial(one, world, policy), seeds, chunksize=10))


def show(title: str, outcomes: Sequence[Outcome]) -> None:
    count = sum(outcome.server is not None for outcome in outcomes)
    halted = sorted(outcome.server for outcome in outcomes[:TIMED] if outcome.server is not None)
    text = f"  {title}: {count} of {len(outcomes)} halted ({count / len(outcomes):.2%})"
    if halted:
        most = halted[int(0.9 * (len(halted) - 1))]
        text += f", median after {statistics.median(halted):.1f} h, nine in ten within {most:.1f} h"
    print(
        f"{text}; by the plain rule {sum(outcome.plain for outcome in outcomes) / len(outcomes):.1%}",
        flush=True,
    )


def broken(name: str, times: float, outcomes: Sequence[Outcome], *, is_promised: bool = True) -> list[str]:
    """Return a message for each promise that these releases break."""
    halted = sum(outcome.server is not None for outcome in outcomes)
    if times == 1 and halted > MOST_GOOD_HALTED * len(outcomes):
        return [
            f"{name}: {halted} of {len(outcomes)} good releases were halted, more than {MOST_GOOD_HALTED:.1%}"
        ]
    if times > 1 and is_promised and halted < len(outcomes):
        return [
            f"{name}: {len(outcomes) - halted} of {len(outcomes)} releases "
            f"with {times:g} times the failures were not halted"
        ]
    return []


def main() -> int:
    """Return the exit status: 1 with ``--must-hold`` if a promise is broken."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument(
        "releases",
        nargs="?",
        type=int,
        default=1_000,
        help=(
            "good releases of the first world (default 1000); "
            "of the second half as many, of bad ones a tenth, of others a fiftieth"
        ),
    )
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--settling", type=float, default=Policy().settling / timedelta(hours=1), help="hours")
    asked.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked.add_argument(
        "--must-hold",
        action="store_true",
        help="fail when too many good releases are halted, or a bad one is not",
    )
    given = asked.parse_args()
    policy, problems = Policy(settling=timedelta(hours=given.settling)), list[str]()
    for place, (name, world) in enumerate(WORLDS.items()):
        print(name)
        for times in (1.0, 5.0, 10.0):
            share = 50 if place >= PROMISED else 10 if times > 1 else place + 1
            outcomes = many(
                replace(world, times=times),
                policy,
                max(1, given.releases // share),
                given.seed,
                given.workers,
            )
            show("good releases" if times == 1 else f"{times:g} times as many failures", outcomes)
            problems += broken(name, times, outcomes, is_promised=place < PROMISED)
    print("\n".join(problems))
    return 1 if problems and given.must_hold else 0


if __name__ == "__main__":
    raise SystemExit(main())
