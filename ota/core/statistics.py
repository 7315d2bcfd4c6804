"""What a share of counted devices says about the devices that are still to come."""

from __future__ import annotations

import math
from typing import NamedTuple

_Z = 1.959963984540054
"""95 % of a normal distribution lie within so many standard deviations."""

ENOUGH = 30
"""With fewer devices on a side no difference is told: it would be an accident either way."""


class Share(NamedTuple):
    """``part`` of ``total``, with its 95 % interval. All three shares are 0 to 1; without anybody nothing is known: 0, 0, 1."""

    part: int
    total: int
    rate: float
    low: float
    high: float


class Difference(NamedTuple):
    """One share less another, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_beyond_chance(self) -> bool:
        return self.low > 0 or self.high < 0


def wilson(count: int, total: int) -> Share:
    """The score interval of Wilson (1927), which holds for few devices and for shares near 0 too.

    Raises ``ValueError`` for counts that can't be.
    """
    if not 0 <= count <= total:
        raise ValueError(f"{count} of {total}: expected a count from 0 to the total")
    if total == 0:
        return Share(0, 0, 0.0, 0.0, 1.0)
    rate, squared = count / total, _Z * _Z
    middle = (rate + squared / (2 * total)) / (1 + squared / total)
    half = _Z / (1 + squared / total) * math.sqrt(rate * (1 - rate) / total + squared / (4 * total * total))
    low = 0.0 if count == 0 else middle - half
    return Share(count, total, rate, low, 1.0 if count == total else middle + half)


def difference(one: Share, other: Share) -> Difference | None:
    """How much larger ``one`` is, by the hybrid score interval of Newcombe (1998). None with fewer than `ENOUGH` devices on a side."""
    if min(one.total, other.total) < ENOUGH:
        return None
    value = one.rate - other.rate
    low = value - math.hypot(one.rate - one.low, other.high - other.rate)
    high = value + math.hypot(one.high - one.rate, other.rate - other.low)
    return Difference(value, low, high)
