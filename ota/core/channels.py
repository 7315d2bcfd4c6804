"""Channels that fall back to others: whose releases a device is offered, and which chains lead nowhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def followed(start: int, fallbacks: Mapping[int, Collection[int]], shut_off: Collection[int] = ()) -> list[int]:
    """The ids of the channels whose releases a device on ``start`` is offered, itself first.

    Channels that are shut off, and what could be reached through them alone, are left out.
    """
    found: list[int] = []
    waiting = [start]
    while waiting:
        channel = waiting.pop(0)
        if channel in found or channel in shut_off:
            continue
        found.append(channel)
        waiting.extend(sorted(fallbacks.get(channel, ())))
    return found


def circle(start: int, fallbacks: Mapping[int, Collection[int]]) -> Sequence[int]:
    """The way on which a channel falls back to itself, from ``start`` to ``start``; empty when there is none."""
    ways = [[start]]
    seen: set[int] = set()
    while ways:
        way = ways.pop(0)
        for channel in sorted(fallbacks.get(way[-1], ())):
            if channel == start:
                return [*way, start]
            if channel not in seen:
                seen.add(channel)
                ways.append([*way, channel])
    return ()
