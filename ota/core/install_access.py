"""Who may see the page from which people install an app, and what can be told about the phone in their hand."""

from __future__ import annotations

import re
from enum import StrEnum

from ota.core.platforms import Platform


class InstallAccess(StrEnum):
    """Open to everybody, only by a share link, or off."""

    OPEN = "open"
    LINKS = "links"
    OFF = "off"


_UDID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{24}")
_SEPARATORS = str.maketrans("", "", "-: \t\r\n")


def visitor_platform(user_agent: str) -> Platform | None:
    """What the browser says it runs on; None for a desktop.

    An iPad says that it is a Mac, so it is taken for a desktop, where both platforms are shown.
    """
    if any(name in user_agent for name in ("iPhone", "iPad", "iPod")):
        return Platform.IOS
    return Platform.ANDROID if "Android" in user_agent else None


def normal_udid(text: str) -> str | None:
    """A device's UDID in lower case without separators; None for a text that is none."""
    normal = text.translate(_SEPARATORS).lower()
    return normal if _UDID.fullmatch(normal) else None
