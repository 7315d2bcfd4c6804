"""Fallbacks between channels: what a device follows, circles, and changes that loosen a two-person rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


def followed(
    start: int, fallbacks: Mapping[int, Collection[int]], shut_off: Collection[int] = ()
) -> list[int]:
    """Return the ids of the channels whose releases a device on ``start`` is offered, ``start`` first.

    Leave out channels that are shut off, and channels that only they lead to.
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
    """Return the shortest path on which a channel falls back to itself. Empty if there is none."""
    paths = [[start]]
    visited: set[int] = set()
    while paths:
        path = paths.pop(0)
        for channel in sorted(fallbacks.get(path[-1], ())):
            if channel == start:
                return [*path, start]
            if channel not in visited:
                visited.add(channel)
                paths.append([*path, channel])
    return ()


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """The editable part of a channel: the ids of its fallbacks, and its two-person rule.

    A release that is open to more than ``approval_above`` basis points needs another person's approval; None
    means never.
    """

    falls_back_to: frozenset[int] = frozenset()
    approval_above: int | None = None


def loosens(before: ChannelRule, after: ChannelRule) -> bool:
    """Return whether a change loosens the channel's two-person rule.

    Raising or removing the threshold loosens it. So does adding a fallback: the channel's devices would be
    offered releases that were not approved for them. Without a rule before the change there is nothing to
    loosen.
    """
    if before.approval_above is None:
        return False
    is_raised = after.approval_above is None or after.approval_above > before.approval_above
    return is_raised or not after.falls_back_to <= before.falls_back_to


def loosened(before: Mapping[int, ChannelRule], after: Mapping[int, ChannelRule]) -> list[int]:
    """Return the ids of the app's channels whose two-person rule a change loosens.

    In addition to the cases of `loosens`, these are channels with a rule that follow more channels than
    before because of a change to a channel without one.
    """
    old, new = ({each: rule.falls_back_to for each, rule in rules.items()} for rules in (before, after))
    return [
        each
        for each in sorted(before)
        if before[each].approval_above is not None
        and each in after
        and (loosens(before[each], after[each]) or not set(followed(each, new)) <= set(followed(each, old)))
    ]
