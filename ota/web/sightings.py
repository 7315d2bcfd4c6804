"""What devices said of themselves in their checks, kept aside and written together: counting never delays an answer.

A process that is killed loses the last `DELAY` seconds of it. What is counted with it (who would be left behind by a build)
bears that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import cast

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from ota.config import Settings
from ota.core.platforms import Platform
from ota.db import first_line, transaction
from ota.services import devices
from ota.services.devices import Sighting

log = logging.getLogger(__name__)

DELAY = 2.0
_MOST = 50_000
"""So many sightings are kept aside at most; the oldest of more than that in one moment are noted at their next check."""

_AT_ONCE = 250
"""So many are handled in one go; then checks that wait get their turn."""

_PAUSE = 0.001

RawSighting = tuple[int, Platform, str, str, int | None, int | None, str | None, Sequence[str] | None, datetime]
"""Channel, platform, the device's own id, version text and build, API level, OS version, ABIs, and when: as the check has them."""

_Seen = dict[tuple[int, Platform, str], Sighting]


class Sightings:
    """What was seen since the last writing. Any thread may add, which costs next to nothing: the writer does the work."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._starting = threading.Lock()
        self._writing = threading.Lock()
        self._raw: deque[RawSighting] = deque(maxlen=_MOST)
        self._unwritten: _Seen = {}
        self._timer: threading.Timer | None = None
        self.is_automatic = True
        """Tests write by hand."""

    def add(self, sighting: RawSighting) -> None:
        """Keep it aside; it is written within `DELAY` seconds."""
        self._raw.append(sighting)
        if self._timer is None and self.is_automatic:
            self._start()

    def write(self) -> None:
        """Write what was kept aside. A database that does not answer gets it the next time."""
        self._timer = None
        with self._writing:
            seen, self._unwritten = self._unwritten, {}
            self._merge(seen)
            waiting = list(seen.items())
            written = 0
            try:
                with self._app.app_context():
                    for written in range(0, len(waiting), _AT_ONCE):
                        part = self._hashed(sighting for _, sighting in islice(waiting, written, written + _AT_ONCE))
                        with transaction() as session:
                            devices.note(session, part)
                        time.sleep(_PAUSE)
            except SQLAlchemyError as error:
                self._unwritten = dict(waiting[written:])
                log.warning("the sightings of %d devices are not written yet: %s", len(self._unwritten), first_line(error))

    def _start(self) -> None:
        with self._starting:
            if self._timer is None:
                self._timer = threading.Timer(DELAY, self.write)
                self._timer.daemon = True
                self._timer.start()

    def _merge(self, seen: _Seen) -> None:
        """Add the last word of each device, which still has its own id here."""
        for number in range(len(self._raw)):
            channel_id, platform, device_id, version, build, sdk, os_version, abis, at = self._raw.popleft()
            key = (channel_id, platform, device_id)
            before = seen.get(key)
            if before is None and len(seen) >= _MOST:
                continue
            said = tuple(sorted(set(abis))) if abis else ()
            seen[key] = _merged(before, Sighting(channel_id, platform, device_id, version, build, sdk, os_version, said, at))
            if number % _AT_ONCE == _AT_ONCE - 1:
                time.sleep(_PAUSE)

    def _hashed(self, sightings: Iterable[Sighting]) -> list[Sighting]:
        secret = cast(Settings, self._app.extensions["ota_settings"]).secret_key
        return [replace(each, device_hash=devices.hashed(secret, each.device_hash)) for each in sightings]


def _merged(before: Sighting | None, now: Sighting) -> Sighting:
    """What a device did not say this time is still true."""
    if before is None:
        return now
    return replace(now, sdk=now.sdk or before.sdk, os_version=now.os_version or before.os_version, abis=now.abis or before.abis)


def init_app(app: Flask) -> None:
    app.extensions["ota_sightings"] = Sightings(app)


def sightings(app: Flask) -> Sightings:
    """Those of this web process."""
    return cast(Sightings, app.extensions["ota_sightings"])


def hashed(device_id: str) -> str:
    """The form in which a device's id is kept, for doors that are told an id."""
    settings: Settings = current_app.extensions["ota_settings"]
    return devices.hashed(settings.secret_key, device_id)
