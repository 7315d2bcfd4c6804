"""What the share among counted devices says about the devices to come."""

from __future__ import annotations

import math
from typing import NamedTuple

_Z = 1.959963984540054
"""The standard deviations that contain 95 % of a normal distribution."""

ENOUGH = 100
"""The devices on a side below which no difference is computed, because it could only be chance."""


class Share(NamedTuple):
    """``part`` of ``total``, with its 95 % interval. Shares are 0 to 1; without devices: 0, 0, 1."""

    part: int
    total: int
    rate: float
    low: float
    high: float


class Difference(NamedTuple):
    """One share minus another, with an interval that stays valid under continuous monitoring."""

    value: float
    low: float
    high: float

    @property
    def is_beyond_chance(self) -> bool:
        return self.low > 0 or self.high < 0


def wilson(count: int, total: int) -> Share:
    """Return the score interval of Wilson (1927), which is right for few devices and shares near 0 too.

    Raises ``ValueError`` for impossible counts.
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


def difference(one: Share, other: Share, *, scale: float, alpha: float) -> Difference | None:
    """Return how much larger ``one`` is than ``other``. None with fewer than `ENOUGH` devices on a side.

    The probability that the interval misses the truth *at any* of all evaluations, while devices keep coming,
    is ``alpha`` at most. (An interval for a single evaluation, such as Newcombe's, is more likely to miss
    with each one.) It is the interval of a normal mixture (Robbins 1970; Johari, Pekelis, Walsh 2015, "Always
    valid inference"), narrowest for true differences about as large as ``scale``. The variance is computed as
    if each side had one more device of each kind, so that none in a hundred does not mean never.
    """
    if min(one.total, other.total) < ENOUGH:
        return None
    value, mixed = one.rate - other.rate, scale * scale
    variance = _variance(one) + _variance(other)
    half = math.sqrt(
        variance
        * (variance + mixed)
        / mixed
        * (2 * math.log(1 / alpha) + math.log((variance + mixed) / variance))
    )
    return Difference(value, max(-1.0, value - half), min(1.0, value + half))


def _variance(share: Share) -> float:
    rate = (share.part + 1) / (share.total + 2)
    return rate * (1 - rate) / share.total
