"""Who can open an app's install page, and what is known about the visitor's phone."""

from __future__ import annotations

import re
from enum import StrEnum

from ota.core.platforms import Platform


class InstallAccess(StrEnum):
    """Who can open the install page: everybody, people with a share link, or nobody."""

    OPEN = "open"
    LINKS = "links"
    OFF = "off"


_UDID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{24}")
_SEPARATORS = str.maketrans("", "", "-: \t\r\n")


def visitor_platform(user_agent: str) -> Platform | None:
    """Return the platform that a browser names, or None for a desktop.

    An iPad calls itself a Mac, so it counts as a desktop, which is shown both platforms.
    """
    if any(name in user_agent for name in ("iPhone", "iPad", "iPod")):
        return Platform.IOS
    return Platform.ANDROID if "Android" in user_agent else None


def normal_udid(text: str) -> str | None:
    """Return a device's UDID in lower case without separators, or None if the text is not a UDID."""
    normal = text.translate(_SEPARATORS).lower()
    return normal if _UDID.fullmatch(normal) else None
