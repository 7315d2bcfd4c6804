"""Channels that fall back to others: whose releases a device is offered, and which chains lead nowhere."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


def followed(
    start: int, fallbacks: Mapping[int, Collection[int]], shut_off: Collection[int] = ()
) -> list[int]:
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


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """What an edit can change of a channel: the ids of those it falls back to, and above how many basis points a release needs
    another person (None: never)."""

    falls_back_to: frozenset[int] = frozenset()
    approval_above: int | None = None


def loosens(before: ChannelRule, after: ChannelRule) -> bool:
    """Does the change loosen the channel's two-person rule?

    It does when the threshold is raised or taken away, and when a fallback is added while there is one: devices would be offered
    another channel's releases, which nobody approved for them. Without a rule before there is nothing to loosen.
    """
    if before.approval_above is None:
        return False
    is_raised = after.approval_above is None or after.approval_above > before.approval_above
    return is_raised or not after.falls_back_to <= before.falls_back_to


def loosened(before: Mapping[int, ChannelRule], after: Mapping[int, ChannelRule]) -> list[int]:
    """The ids of the channels whose two-person rule a change loosens, of all the channels of an app.

    Besides what `loosens` finds: channels with a rule that reach more channels than before through one that has none.
    """
    were, are = ({each: rule.falls_back_to for each, rule in rules.items()} for rules in (before, after))
    return [
        each
        for each in sorted(before)
        if before[each].approval_above is not None
        and each in after
        and (loosens(before[each], after[each]) or not set(followed(each, are)) <= set(followed(each, were)))
    ]
