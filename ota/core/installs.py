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


_ANDROID_NAMES = {
    21: "5.0", 22: "5.1", 23: "6", 24: "7.0", 25: "7.1", 26: "8.0", 27: "8.1", 28: "9", 29: "10", 30: "11", 31: "12", 32: "12L",
    33: "13", 34: "14", 35: "15", 36: "16",
}  # fmt: skip
_UDID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{24}")
_SEPARATORS = str.maketrans("", "", "-: \t\r\n")


def visitor_platform(user_agent: str) -> Platform | None:
    """What the browser says it runs on; None for a desktop.

    An iPad says that it is a Mac, so it is taken for a desktop, where both platforms are shown.
    """
    if any(name in user_agent for name in ("iPhone", "iPad", "iPod")):
        return Platform.IOS
    return Platform.ANDROID if "Android" in user_agent else None


def android_name(api_level: int) -> str:
    """The version of Android that people know for an API level."""
    if api_level < min(_ANDROID_NAMES):
        return "Android"
    return f"Android {_ANDROID_NAMES[api_level]}" if api_level in _ANDROID_NAMES else f"Android with API level {api_level}"


def normal_udid(text: str) -> str | None:
    """A device's UDID in lower case without separators; None for a text that is none."""
    normal = text.translate(_SEPARATORS).lower()
    return normal if _UDID.fullmatch(normal) else None
