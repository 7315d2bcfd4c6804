"""Simulated releases: how often the health tests halt good and bad ones."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

from benchmarks import health as simulation
from benchmarks import health_world
from benchmarks.health_world import World
from ota.core.health_votes import Policy


def test_later_reports_only_add_to_the_evidence() -> None:
    """So the verdict at the end shows whether the release was ever found bad with the reports by then."""
    world = World(rollout=60, control=120, rate=0.05, times=6, first_crash=1, installs=0.5)
    for seed in range(3):
        reports = health_world.reports_of(world, random.Random(seed))
        found = simulation.hours_to_halt(reports, world, Policy())
        for minutes in range(0, 60 * 24 * 4, 90):
            known = [report for report in reports if report.received <= minutes * 60]
            crowd = health_world.crowd_of(known, world, Policy())
            is_bad = simulation.is_bad(crowd, world, Policy(), simulation.START + timedelta(minutes=minutes))
            assert is_bad is (found is not None and minutes / 60 >= found)


def test_good_releases_are_rarely_halted_and_bad_ones_always() -> None:
    for world in (World(control=2_000), World(control=0)):
        good = simulation.many(world, Policy(), 30, seed=7)
        assert sum(outcome.server is not None for outcome in good) <= 1
        assert sum(outcome.plain for outcome in good) >= 5
        for times in (5, 10):
            bad = simulation.many(replace(world, times=times), Policy(), 3, seed=7)
            assert simulation.broken("so", times, bad) == []
            assert all(outcome.plain for outcome in bad)


def test_a_release_that_is_opened_further_is_as_safe() -> None:
    """Half of the devices are rarely used. They must not dominate the control group later on."""
    world = World(rollout=200, control=1_800, rate=0.01, opens_at=24.0, idle=0.5)
    assert sum(outcome.server is not None for outcome in simulation.many(world, Policy(), 15, seed=7)) <= 1


def test_the_simulation_reports_broken_promises() -> None:
    halted, left = simulation.Outcome(1.0, True), simulation.Outcome(None, True)
    assert simulation.broken("so", 1, [left] * 76 + [halted]) == []
    [too_many] = simulation.broken("so", 1, [left] * 75 + [halted])
    assert too_many.startswith("so: 1 of 76 good releases")
    [missed] = simulation.broken("so", 5, [halted] * 9 + [left])
    assert missed.startswith("so: 1 of 10 releases with 5 times")
    assert simulation.broken("so", 5, [halted] * 9 + [left], is_promised=False) == []
