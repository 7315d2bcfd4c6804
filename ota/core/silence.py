"""Devices that have stopped checking. A build that does not start cannot report its failure.
Devices that were offered a release are compared with devices that checked in the meantime and were not
offered it. Only the draw of the rollout decides which is which, so both fall silent for all other reasons (a
lost phone, a deleted app) equally often. Only regular devices are compared: they check often enough for a
silence to mean something. There is no test for a release that is open to everybody, because nobody can state
beforehand how many devices fall silent anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from ota.core.health_votes import Member

KNOWN_FOR = 3
"""A regular device was known for this many times the silence when the release started."""

SHARE_OF_SILENCE = 2
"""A regular device's longest gap is at most the silence divided by this."""

UNKNOWN_GAP = 30 * 24 * 3600
"""The gap, in seconds, of a device whose gaps are not known yet. About 80 checks reduce it to half a day."""


def longest_gap(before: int, gap: timedelta) -> int:
    """Return the longest recent time between two checks of a device, in seconds, after one more gap.

    Old gaps fade: each check takes a twentieth of the longest one away.
    """
    return max(0, int(gap.total_seconds()), before - before // 20 - (before > 0))


def at_risk_of_silence(members: Iterable[Member], after: timedelta) -> list[Member]:
    """Return the members with all times shifted by ``after``, because a silence shows only after that time.

    ``failed_at`` of a member that fell silent is its last check.
    """
    return [
        member._replace(
            enrolled_at=member.enrolled_at + after,
            failed_at=None if member.failed_at is None else member.failed_at + after,
            until=None if member.until is None else member.until + after,
        )
        for member in members
    ]
