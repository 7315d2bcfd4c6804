"""Who may see the page from which people install an app."""

from __future__ import annotations

from enum import StrEnum


class InstallAccess(StrEnum):
    """Open to everybody, only by a share link, or off."""

    OPEN = "open"
    LINKS = "links"
    OFF = "off"
