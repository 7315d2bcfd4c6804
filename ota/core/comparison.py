"""The results of an experiment: installations and failures of each arm, and differences beyond chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ota.core.statistics import Difference, Share, difference, wilson

ALPHA = 0.05
"""The largest probability with which an experiment with equal arms ever shows a difference."""

_COMPLETION_SCALE, _FAILURE_SCALE = 0.05, 0.02
"""The differences that are found soonest: five percentage points of installations, two of failures."""


class Finding(StrEnum):
    """The result of comparing two arms."""

    HIGHER = "higher"
    LOWER = "lower"
    CHANCE = "could_be_chance"
    TOO_FEW = "too_few_devices"


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of devices of an arm. ``tried``: installed it, or failed to.

    ``failed`` is a part of ``tried``: each device has one vote, within the window of the app's health policy.
    """

    offered: int = 0
    installed: int = 0
    tried: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """An arm's share compared with that of the first arm. ``difference`` is None with too few devices."""

    difference: Difference | None
    finding: Finding


@dataclass(frozen=True, slots=True)
class Result:
    """The counts and shares of an arm. The comparisons are with the first arm, which has none."""

    counts: Counts
    completion: Share
    failure: Share
    completion_beside: Comparison | None
    failure_beside: Comparison | None


def compare(arms: Sequence[Counts]) -> list[Result]:
    """Compare each arm with the first one, by installations and by failures.

    All comparisons share `ALPHA` (Bonferroni), and all stay valid under continuous monitoring: a person who
    looks every day until equal arms differ sees a difference with that probability at most.
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
            _compared(completion, first_completion, _COMPLETION_SCALE, alpha) if place else None,
            _compared(failure, first_failure, _FAILURE_SCALE, alpha) if place else None,
        )
        for place, (counts, (completion, failure)) in enumerate(zip(arms, shares, strict=True))
    ]


def _compared(share: Share, first: Share, scale: float, alpha: float) -> Comparison:
    found = difference(share, first, scale=scale, alpha=alpha)
    if found is None:
        return Comparison(None, Finding.TOO_FEW)
    if not found.is_beyond_chance:
        return Comparison(found, Finding.CHANCE)
    return Comparison(found, Finding.HIGHER if found.value > 0 else Finding.LOWER)
