"""What devices said of themselves in their checks, kept aside and written together: counting never delays an answer.

A process that is killed loses the last `DELAY` seconds of it. What is counted with it (who would be left behind by a build)
bears that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import cast

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from ota.config import Settings
from ota.core.versions import parse_current_version
from ota.db import first_line, transaction
from ota.services import devices
from ota.services.apps import find_platform
from ota.services.devices import Sighting
from ota.web.api import decode
from ota.web.schemas import CheckRequest

log = logging.getLogger(__name__)

DELAY = 2.0
_MOST = 50_000
"""So many sightings are kept aside at most; the oldest of more than that in one moment are noted at their next check."""

_AT_ONCE = 100
"""So many are handled in one go, which is less than a millisecond of Python; then checks that wait get their turn."""

_IN_ONE_TRANSACTION = 500
_PAUSE = 0.0005


RawSighting = tuple[int, bytes, datetime]
"""The channel's id, the body of the check (a short one), and when.

Nothing of it is looked through by the garbage collector: tens of thousands of containers that live for two seconds would send it
through the whole process again and again, with every check waiting.
"""

_Seen = dict[tuple[int, str, str], tuple[datetime, CheckRequest]]


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
        with self._writing, self._app.app_context():
            seen, self._unwritten = self._unwritten, {}
            self._merge(seen)
            waiting, done = list(seen.items()), 0
            try:
                for done in range(0, len(waiting), _IN_ONE_TRANSACTION):
                    # In one order everywhere, so that two writers never wait for each other.
                    part = sorted(self._hashed(waiting[done : done + _IN_ONE_TRANSACTION]), key=lambda each: each.device_hash)
                    with transaction() as session:
                        for start in range(0, len(part), _AT_ONCE):
                            devices.note(session, part[start : start + _AT_ONCE])
                            time.sleep(_PAUSE)
            except SQLAlchemyError as error:
                self._unwritten = dict(waiting[done:])
                log.warning("the sightings of %d devices are not written yet: %s", len(self._unwritten), first_line(error))

    def _start(self) -> None:
        with self._starting:
            if self._timer is None:
                self._timer = threading.Timer(DELAY, self.write)
                self._timer.daemon = True
                self._timer.start()

    def _merge(self, seen: _Seen) -> None:
        """Add the last word of each device."""
        for number in range(len(self._raw)):
            channel_id, raw, at = self._raw.popleft()
            said = decode(raw, CheckRequest)
            key = (channel_id, said.platform, said.device_id)
            before = seen.get(key)
            if before is not None:
                _complete(said, before[1])
            if before is not None or len(seen) < _MOST:
                seen[key] = (at, said)
            if number % _AT_ONCE == _AT_ONCE - 1:
                time.sleep(_PAUSE)

    def _hashed(self, part: Iterable[tuple[tuple[int, str, str], tuple[datetime, CheckRequest]]]) -> Iterator[Sighting]:
        secret = cast(Settings, self._app.extensions["ota_settings"]).secret_key
        for number, ((channel_id, platform, device_id), (at, said)) in enumerate(part):
            if number % _AT_ONCE == _AT_ONCE - 1:
                time.sleep(_PAUSE)
            current = parse_current_version(said.current_version)
            yield Sighting(
                channel_id=channel_id, platform=find_platform(platform), device_hash=devices.hashed(secret, device_id),
                app_version=current.text, version_code=current.build, sdk=said.sdk, os_version=said.os_version,
                abis=tuple(sorted(set(said.abis or ()))), at=at,
            )  # fmt: skip


def _complete(now: CheckRequest, before: CheckRequest) -> None:
    """What a device did not say this time is still true."""
    now.sdk, now.os_version, now.abis = now.sdk or before.sdk, now.os_version or before.os_version, now.abis or before.abis


def init_app(app: Flask) -> None:
    app.extensions["ota_sightings"] = Sightings(app)


def sightings(app: Flask) -> Sightings:
    """Those of this web process."""
    return cast(Sightings, app.extensions["ota_sightings"])


def hashed(device_id: str) -> str:
    """The form in which a device's id is kept, for doors that are told an id."""
    settings: Settings = current_app.extensions["ota_settings"]
    return devices.hashed(settings.secret_key, device_id)
