"""Repairs: releases that are mandatory for exactly the devices left behind on one version."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from ota.core.versions import parse_name
from ota.devices import census
from ota.models import Version

_MAX_NAME = 30


def repair_range(session: Session, version: Version, *, now: datetime) -> tuple[str | None, str | None]:
    """Return the critical range that contains only the version left behind on most devices.

    ``version`` is the one that repairs it. Both bounds are None if no device is left behind.
    """
    left = census.left_behind(session, version, now=now)
    return _only(left[0].version) if left else (None, None)


def _only(version: Version) -> tuple[str, str]:
    """Return the bounds that contain this version alone. Its code decides, its name is for people."""
    name = version.version
    is_readable = parse_name(name) is not None and "+" not in name and len(name) <= _MAX_NAME
    shown = name if is_readable else "0.0.0"
    return f"{shown}+{version.version_code}", f"{shown}+{version.version_code + 1}"
