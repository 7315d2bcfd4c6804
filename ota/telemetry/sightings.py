"""Checks as counting sees them: who asked, what is known of the device."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from ota.core.platforms import Platform
from ota.core.versions import CurrentVersion
from ota.telemetry.records import Check

Key = tuple[int, str, str]
"""The app, the platform and the keyed hash of a device."""


class Seen(NamedTuple):
    """A check of a known channel. ``device`` is the keyed hash, None where there is none or the app keeps none."""

    check: Check
    app_id: int
    platform: Platform
    device: str | None
    current: CurrentVersion

    @property
    def key(self) -> Key:
        """Of a check whose device is known."""
        assert self.device is not None
        return self.app_id, self.platform.value, self.device


class Known(NamedTuple):
    """What a device was known to be before the batch."""

    app_version: str
    first_seen_at: datetime
    last_seen_at: datetime
    longest_gap: int
