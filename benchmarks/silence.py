"""How often the test for silence halts good releases, and how soon those that do not start.

Run ``python -m benchmarks.silence [releases] [--seed 1] [--must-hold]``. Each release goes to a tenth of
5,000 devices, and to half of them a day later. Devices check every one to eight hours of their day, some not
at weekends, and each day one in a hundred is lost for ever. A device that installs a build that does not
start is silent from then on. Regular and silent devices are determined as the server determines them. One
evaluation at the end is enough to tell whether the release was ever found bad, because a silence stays noted.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from benchmarks.health import MOST_GOOD_HALTED
from ota.core.health_tests import with_control
from ota.core.health_votes import Member, Policy
from ota.core.silence import KNOWN_FOR, SHARE_OF_SILENCE, at_risk_of_silence, longest_gap

START = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday."""

DAYS_AFTER = 6
DEVICES = 5_000
TESTS = 3
"""The tests that share the alpha."""


@dataclass(frozen=True)
class World:
    """How devices behave. ``bricked`` is the share of installations after which the device is silent."""

    bricked: float = 0.0
    lost_a_day: float = 0.01
    free_weekends: float = 0.2
    installs_within: float = 6.0
    """Mean hours from the offer to the installation."""


def checks(draw: random.Random, world: World, until: float) -> Iterator[float]:
    """Yield the hours since START at which a device checks, from a week before until it is lost."""
    every, wakes = draw.uniform(1, 8), draw.uniform(0, 24)
    is_free = draw.random() < world.free_weekends
    lost_at = draw.expovariate(world.lost_a_day / 24) - 7 * 24
    at = -7 * 24 + draw.random() * 24
    while at < min(until, lost_at):
        is_awake = (at - wakes) % 24 < 16
        if is_awake and not (is_free and at // 24 % 7 >= 5):
            yield at
        at += every * draw.uniform(0.7, 1.3)


def member_of(draw: random.Random, world: World, started: float, policy: Policy) -> list[Member]:
    """Return what the server knows of one regular device: a member of the control group, of the release, or
    one after the other.

    Empty for a device that is not regular.
    """
    silence, end = policy.silence.total_seconds() / 3600, started + 24 * DAYS_AFTER
    place = draw.random()  # Below a tenth: in the first step; below a half: in the second.
    opens = started if place < 0.1 else started + 24 if place < 0.5 else end
    gap, last, offered, asked, bricks = 0, None, None, None, end
    silent: dict[bool, float] = {}  # By whether the device had been offered the release.
    is_regular = False
    for at in checks(draw, world, end):
        if at >= bricks:
            break
        if last is not None:
            gap = longest_gap(gap, timedelta(hours=at - last))
            if at - last >= silence and (asked or offered):
                silent.setdefault(offered is not None, last)
        last = at
        if at < started:
            continue
        if asked is None and offered is None:
            is_regular = gap <= silence * 3600 / SHARE_OF_SILENCE
        if at >= opens and offered is None:
            offered = at
            if draw.random() < world.bricked:
                bricks = at + draw.expovariate(1 / world.installs_within)
        elif offered is None and asked is None:
            asked = at
    if not is_regular or last is None:
        return []
    if last + silence < end and (asked or offered):
        silent.setdefault(offered is not None, last)
    found = []
    if asked is not None:
        found.append(
            Member(_at(asked), _at_or_none(silent.get(False)), is_control=True, left_at=_at_or_none(offered))
        )
    if offered is not None:
        found.append(Member(_at(offered), _at_or_none(silent.get(True))))
    return found


def hours_to_halt(world: World, policy: Policy, seed: int) -> float | None:
    """Simulate one release. Return the hours from its start until it is found bad, or None if it never is."""
    draw = random.Random(seed)
    started = float(draw.randrange(7 * 24))  # Any hour of the week.
    members = [member for _ in range(DEVICES) for member in member_of(draw, world, started, policy)]
    at_risk = at_risk_of_silence(members, policy.silence)
    low, high = 0, 24 * DAYS_AFTER
    if not with_control(at_risk, policy, _at(started + high)).is_bad:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (
            (low, middle)
            if with_control(at_risk, policy, _at(started + middle)).is_bad
            else (middle + 1, high)
        )
    return float(low)


def _at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def _at_or_none(hours: float | None) -> datetime | None:
    return None if hours is None else _at(hours)


def many(world: World, policy: Policy, releases: int, seed: int, workers: int) -> list[float | None]:
    """Simulate releases, each from its own seed."""
    shared = replace(policy, alpha=policy.alpha / TESTS)
    seeds = range(seed * 1_000_000, seed * 1_000_000 + releases)
    if workers == 1:
        return [hours_to_halt(world, shared, number) for number in seeds]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(partial(hours_to_halt, world, shared), seeds, chunksize=5))


def show(title: str, hours: Sequence[float | None]) -> None:
    halted = sorted(at for at in hours if at is not None)
    text = f"{title}: {len(halted)} of {len(hours)} halted"
    if halted:
        most = halted[int(0.9 * (len(halted) - 1))]
        text += f", median after {statistics.median(halted):.0f} h, nine in ten within {most:.0f} h"
    print(text, flush=True)


def main() -> int:
    """Return the exit status: 1 with ``--must-hold`` if a promise is broken."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument(
        "releases", nargs="?", type=int, default=200, help="good releases to draw; a tenth as many bad ones"
    )
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--silence", type=float, default=24.0, help="hours")
    asked.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked.add_argument(
        "--must-hold",
        action="store_true",
        help="fail when too many good releases are halted, or a bad one is not",
    )
    given = asked.parse_args()
    policy, is_broken = Policy(silence=timedelta(hours=given.silence)), False
    assert KNOWN_FOR * policy.silence < timedelta(days=7), "the devices of this world are known for a week"
    for title, bricked in (
        ("good releases", 0.0),
        ("one installation in ten never starts", 0.1),
        ("one in three", 0.33),
    ):
        count = given.releases if not bricked else max(1, given.releases // 10)
        hours = many(World(bricked=bricked), policy, count, given.seed, given.workers)
        show(title, hours)
        halted = sum(at is not None for at in hours)
        is_broken |= halted < count if bricked else halted > MOST_GOOD_HALTED * count
    return 1 if is_broken and given.must_hold else 0


if __name__ == "__main__":
    raise SystemExit(main())
