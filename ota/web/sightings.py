"""What devices said of themselves in their checks, kept aside and written together: counting never delays an answer.

A process that is killed loses the last `DELAY` seconds of it. What is counted with it (who would be left behind by a build)
bears that.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import cast

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from ota.config import Settings
from ota.db import first_line, transaction
from ota.services import devices
from ota.services.devices import Sighting

log = logging.getLogger(__name__)

DELAY = 2.0
_MOST = 50_000
"""So many devices are kept aside at most; more than that in one moment are noted at their next check."""


class Sightings:
    """The last word of each device since the last writing. Any thread may add."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._seen: dict[tuple[int, str, str], Sighting] = {}
        self._timer: threading.Timer | None = None
        self.is_automatic = True
        """Tests write by hand."""

    def add(self, sighting: Sighting) -> None:
        """Keep it aside; it is written within `DELAY` seconds."""
        key = (sighting.channel_id, sighting.platform, sighting.device_hash)
        with self._lock:
            if len(self._seen) < _MOST or key in self._seen:
                self._seen[key] = _merged(self._seen.get(key), sighting)
            if self._timer is None and self.is_automatic:
                self._timer = threading.Timer(DELAY, self.write)
                self._timer.daemon = True
                self._timer.start()

    def write(self) -> None:
        """Write what was kept aside. A database that does not answer gets it the next time."""
        with self._lock:
            seen, self._seen, self._timer = self._seen, {}, None
        try:
            with self._app.app_context(), transaction() as session:
                devices.note(session, seen.values())
        except SQLAlchemyError as error:
            log.warning("the sightings of %d devices are not written yet: %s", len(seen), first_line(error))
            with self._lock:
                self._seen = {**seen, **self._seen}


def _merged(before: Sighting | None, now: Sighting) -> Sighting:
    """What a device did not say this time is still true."""
    if before is None:
        return now
    return replace(now, sdk=now.sdk or before.sdk, os_version=now.os_version or before.os_version, abis=now.abis or before.abis)


def init_app(app: Flask) -> None:
    app.extensions["ota_sightings"] = Sightings(app)


def sightings() -> Sightings:
    """Those of this web process."""
    return cast(Sightings, current_app.extensions["ota_sightings"])


def hashed(device_id: str) -> str:
    """The form in which a device's id is kept."""
    settings: Settings = current_app.extensions["ota_settings"]
    return devices.hashed(settings.secret_key, device_id)
