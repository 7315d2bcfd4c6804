"""The arms of an experiment: versions that divide the devices of a channel among themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from ota.core.rollout import FULL

MAX_ARMS = 10


@dataclass(frozen=True, slots=True)
class Arm:
    """A version and its share of the devices, in basis points."""

    version_id: int
    weight: int


def check_arms(arms: Sequence[Arm]) -> None:
    """Raise ``ValueError``, with a message for people, if the arms cannot divide the devices."""
    if not 2 <= len(arms) <= MAX_ARMS:
        raise ValueError(f"an experiment compares 2 to {MAX_ARMS} versions")
    if len({arm.version_id for arm in arms}) != len(arms):
        raise ValueError("the same version stands in two arms; each version has one")
    for arm in arms:
        if not 1 <= arm.weight <= FULL:
            raise ValueError(
                f"a weight of {arm.weight}: expected whole basis points from 1 to {FULL}; "
                "half of the devices is 5000"
            )
    total = sum(arm.weight for arm in arms)
    if total > FULL:
        raise ValueError(f"the weights add up to {total / 100:g} %, and there are no more devices than 100 %")


def first_buckets(arms: Sequence[Arm]) -> list[int]:
    """Return the first bucket of each arm. The arms do not overlap, so a device is in one arm at most."""
    return list(accumulate((arm.weight for arm in arms), initial=0))[:-1]
