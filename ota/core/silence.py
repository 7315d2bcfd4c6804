"""Has a device that normally calls fallen silent? A build that does not even start can't report anything: what is left to see is that
nobody calls any more.

Devices that were offered a release are compared with those that asked meanwhile and were not: who is which, the draw of the rollout
decided alone, so each goes silent for all other reasons (the phone is lost, the app is deleted) as often as the other. Only devices that
call often enough for a silence to mean something are compared. A release that is open to everybody has nobody to compare with: how
many devices go silent anyway nobody can state beforehand, so there is no test of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from ota.core.health_tests import Member

KNOWN_FOR = 3
"""So many times the silence a device must have been known before the release started."""

SHARE_OF_SILENCE = 2
"""A device normally calls if its longest gap was at most one in so many of the silence."""

UNKNOWN_GAP = 30 * 24 * 3600
"""In seconds: the gap of a device of which no check was counted so far in this way. Some eighty checks make half a day of it."""


def longest_gap(before: int, gap: timedelta) -> int:
    """The longest time in seconds that a device lately let pass between two checks, after one more gap.

    What was long ago fades: each check takes a twentieth of it away.
    """
    return max(0, int(gap.total_seconds()), before - before // 20 - (before > 0))


def at_risk_of_silence(members: Iterable[Member], after: timedelta) -> list[Member]:
    """The members as the test looks at them. ``failed_at`` is the last call of one that fell silent; all of it shows so much later."""
    return [
        member._replace(
            enrolled_at=member.enrolled_at + after,
            failed_at=None if member.failed_at is None else member.failed_at + after,
            until=None if member.until is None else member.until + after,
        )
        for member in members
    ]
