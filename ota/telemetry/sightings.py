"""Checks as they are counted: the device that sent one, and what was known of it before."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from ota.core.platforms import Platform
from ota.core.versions import CurrentVersion
from ota.telemetry.records import CheckReport

Key = tuple[int, str, str]
"""App, platform and keyed hash of a device."""


class CheckSeen(NamedTuple):
    """A check on an existing channel. ``device`` is the keyed hash, None if there is none to keep."""

    check: CheckReport
    app_id: int
    platform: Platform
    device: str | None
    current: CurrentVersion

    @property
    def key(self) -> Key:
        """The device's key, for checks with a device."""
        assert self.device is not None
        return self.app_id, self.platform.value, self.device


class KnownDevice(NamedTuple):
    """What was known of a device before the batch. ``longest_gap`` is in seconds."""

    app_version: str
    first_seen_at: datetime
    last_seen_at: datetime
    longest_gap: int
