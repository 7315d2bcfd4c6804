"""Series: numbers over time by name, as charts draw them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

TOP = 8
"""Names that a series shows before the rest is put together."""

OTHER = "other"


@dataclass(frozen=True, slots=True)
class Series:
    """Numbers over time, by moment (the start of a span) and name.

    ``names`` are in drawing order, `OTHER` last.
    """

    moments: Sequence[datetime]
    names: Sequence[str]
    values: Mapping[tuple[datetime, str], int]

    def at(self, moment: datetime, name: str) -> int:
        return self.values.get((moment, name), 0)

    def total(self, moment: datetime) -> int:
        return sum(self.at(moment, name) for name in self.names)

    def rows(self) -> list[tuple[datetime, str, int]]:
        """Return moment, name and number, without zeros."""
        return [
            (moment, name, self.at(moment, name))
            for moment in self.moments
            for name in self.names
            if self.at(moment, name)
        ]


def series_of(moments: Sequence[datetime], rows: Sequence[tuple[datetime, str, int]]) -> Series:
    """Return the series of these moments, from moments, names and numbers.

    The numbers of all names but the `TOP` largest are added up as `OTHER`.
    """
    wanted, sums = set(moments), Counter[str]()
    for at, name, number in rows:
        sums[name] += number if at in wanted else 0
    order = sorted((name for name in sums if sums[name]), key=lambda name: (-sums[name], name))
    top = order if len(order) <= TOP + 1 else order[:TOP]
    values: dict[tuple[datetime, str], int] = defaultdict(int)
    for at, name, number in rows:
        if at in wanted and number:
            values[at, name if name in top else OTHER] += number
    return Series(moments, [*top, OTHER] if len(top) < len(order) else top, dict(values))
