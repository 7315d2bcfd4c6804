"""What an experiment has shown: how often each arm is installed and fails, and whether the arms differ beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ota.core.statistics import Difference, Share, difference, wilson

ALPHA = 0.05
"""So probable it is at most that an experiment whose arms are all alike is ever said to show a difference."""

_COMPLETION_SCALE, _FAILURE_SCALE = 0.05, 0.02
"""Differences about so large are found soonest: five points of those that install, two points of those that fail."""


class Finding(StrEnum):
    """What a comparison of two arms says."""

    HIGHER = "higher"
    LOWER = "lower"
    CHANCE = "could_be_chance"
    TOO_FEW = "too_few_devices"


@dataclass(frozen=True, slots=True)
class Counts:
    """Devices of an arm: so many were ``offered`` it, ``installed`` it, ``tried`` it (installed it, or failed to), and ``failed``.

    ``failed`` is a part of ``tried``: the one vote of each device, inside the window of the app's health policy.
    """

    offered: int = 0
    installed: int = 0
    tried: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm's share against that of the first arm. ``difference`` is None with too few devices."""

    difference: Difference | None
    finding: Finding


@dataclass(frozen=True, slots=True)
class Result:
    """How an arm does. The comparisons are None for the first arm: the others are held against it."""

    counts: Counts
    completion: Share
    failure: Share
    completion_beside: Comparison | None
    failure_beside: Comparison | None


def compare(arms: Sequence[Counts]) -> list[Result]:
    """Hold each arm against the first one, by installations and by failures.

    All comparisons share `ALPHA` (Bonferroni), and each may be looked at as often as one likes: whoever waits for a difference among
    equal arms, and looks every day, meets one with that probability at most.
    """
    if not arms:
        return []
    alpha = ALPHA / max(1, 2 * (len(arms) - 1))
    shares = [(wilson(each.installed, each.offered), wilson(each.failed, each.tried)) for each in arms]
    first_completion, first_failure = shares[0]
    return [
        Result(
            counts,
            completion,
            failure,
            _beside(completion, first_completion, _COMPLETION_SCALE, alpha) if place else None,
            _beside(failure, first_failure, _FAILURE_SCALE, alpha) if place else None,
        )
        for place, (counts, (completion, failure)) in enumerate(zip(arms, shares, strict=True))
    ]


def _beside(share: Share, first: Share, scale: float, alpha: float) -> Comparison:
    found = difference(share, first, scale=scale, alpha=alpha)
    if found is None:
        return Comparison(None, Finding.TOO_FEW)
    if not found.is_beyond_chance:
        return Comparison(found, Finding.CHANCE)
    return Comparison(found, Finding.HIGHER if found.value > 0 else Finding.LOWER)
