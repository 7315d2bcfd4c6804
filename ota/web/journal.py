"""The web process's end of the journal: it appends checks and reports, and `ota.telemetry.drain` counts them.

Appending never delays an answer.
"""

from __future__ import annotations

import logging
import time

from flask import Flask

from ota.config import Settings
from ota.devices import devices
from ota.errors import StorageFull
from ota.journal import SEGMENT_BYTES, Journal, JournalFull
from ota.parts import add_part, part

log = logging.getLogger(__name__)

_COMPLAIN_EVERY = 60.0
"""Seconds between two log lines about a full journal."""

_MIN_SEGMENT_BYTES = 256 * 1024


class Reports:
    """The journal of this process. Any thread can append."""

    def __init__(self, settings: Settings) -> None:
        size = max(_MIN_SEGMENT_BYTES, min(SEGMENT_BYTES, settings.journal_bytes // 16))
        self._journal = Journal(settings.journal_path, max_bytes=settings.journal_bytes, segment_bytes=size)
        self._quiet_until = 0.0
        self._lost = 0

    def keep(self, record: bytes) -> bool:
        """Append a record. Return False, and log it now and then, if there is no room."""
        try:
            self._journal.append(record)
        except JournalFull as error:
            self._lost += 1
            if time.monotonic() >= self._quiet_until:
                self._quiet_until = time.monotonic() + _COMPLAIN_EVERY
                log.error("%d checks and reports are not counted: %s", self._lost, error)
            return False
        return True

    def keep_or_fail(self, record: bytes) -> None:
        """Append a record of a device that can send it again. Raises `StorageFull` if there is no room."""
        if not self.keep(record):
            raise StorageFull(
                "journal_full",
                "The server can't note reports at the moment. Keep them and send them again later.",
            )

    def close(self) -> None:
        """Finish the segment, so that it can be deleted when it is counted."""
        self._journal.close()


def init_app(app: Flask, settings: Settings) -> None:
    add_part(app, Reports, Reports(settings))


def reports(app: Flask | None = None) -> Reports:
    """Return the journal of this web process."""
    return part(Reports, app)


def hashed(device_id: str) -> str:
    """Return the keyed hash of a device id that was sent to a door."""
    settings = part(Settings)
    return devices.hashed(settings.secret_key, device_id)
