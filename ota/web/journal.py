"""Where the web process leaves what devices report: in a journal, which `ota.telemetry.drain` counts. It never delays an answer."""

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
_SMALLEST = 256 * 1024


class Reports:
    """The journal of this process. Any thread may add."""

    def __init__(self, settings: Settings) -> None:
        size = max(_SMALLEST, min(SEGMENT_BYTES, settings.journal_bytes // 16))
        self._journal = Journal(settings.journal_path, max_bytes=settings.journal_bytes, segment_bytes=size)
        self._quiet_until = 0.0
        self._lost = 0

    def keep(self, record: bytes) -> bool:
        """Write it down. False, and a line in the log now and then, when there is no room: devices are answered all the same."""
        try:
            self._journal.append(record)
        except JournalFull as error:
            self._lost += 1
            if time.monotonic() >= self._quiet_until:
                self._quiet_until = time.monotonic() + _COMPLAIN_EVERY
                log.error("%d reports of devices are not counted: %s", self._lost, error)
            return False
        return True

    def keep_or_fail(self, record: bytes) -> None:
        """For a sender who can send it again. Raises `StorageFull` when there is no room."""
        if not self.keep(record):
            raise StorageFull(
                "journal_full",
                "The server can't note reports at the moment. Keep them and send them again later.",
            )

    def close(self) -> None:
        """Finish the segment: whoever counts it may delete it then."""
        self._journal.close()


def init_app(app: Flask, settings: Settings) -> None:
    add_part(app, Reports, Reports(settings))


def reports(app: Flask | None = None) -> Reports:
    """Those of this web process."""
    return part(Reports, app)


def hashed(device_id: str) -> str:
    """The form in which a device's id is kept, for doors that are told an id."""
    settings = part(Settings)
    return devices.hashed(settings.secret_key, device_id)
