"""Values that fields of channels can hold. The functions return the cleaned value or raise `Invalid`."""

from __future__ import annotations

import re

from ota.core.rollout import FULL
from ota.errors import Invalid

_CHANNEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?", re.ASCII)


def channel_name(name: str) -> str:
    """Check the name of a channel: 1 to 40 lower-case letters, digits and inner hyphens."""
    name = name.strip()
    if not _CHANNEL.fullmatch(name):
        raise Invalid.about(
            "name",
            "bad_channel_name",
            "a channel has 1 to 40 lower-case letters, digits and inner hyphens, for example beta. "
            "Devices send it as it is.",
        )
    return name


def approval_above(above: int | None) -> int | None:
    """Check a two-person rule: basis points below 10000, or None for no rule."""
    if above is None:
        return None
    if isinstance(above, bool) or not isinstance(above, int) or not 0 <= above < FULL:
        raise Invalid.about(
            "approval_above",
            "bad_approval_above",
            "expected whole basis points from 0 (every release needs a second person) to 9999; 10 % is 1000. "
            "Above 10000 there is nothing: to ask nobody, send null.",
        )
    return above
