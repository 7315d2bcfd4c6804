"""Counting the journal: ``python -m ota.draining`` goes on until it is told to stop.

One process of each machine that serves devices does it. What is counted and how far the journal was read are written in one transaction, so
a batch counts once, wherever this process or the database ends. While the database is away the journal waits.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import threading
from collections.abc import Sequence
from typing import cast

from flask import Flask
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ota.clock import utcnow
from ota.config import Settings
from ota.db import first_line, reader, transaction
from ota.journal import Segment, segments
from ota.services import counting

log = logging.getLogger(__name__)

EVERY = 0.5
_BATCH = 1_000
_AFTER_FAILURE = 5.0


class Drainer:
    """Counts what the web processes of this machine wrote down."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._settings = cast(Settings, app.extensions["ota_settings"])

    def drain(self) -> int:
        """Count everything that is there; answers how many records. Raises what the database raises: then the rest waits."""
        with self._app.app_context():
            return sum(self._drain_one(each) for each in segments(self._settings.journal_path))

    def _drain_one(self, segment: Segment) -> int:
        is_finished, counted = segment.is_finished(), 0
        reader().rollback()
        position = counting.position(reader(), segment.name)
        reader().rollback()
        for batch, after in segment.batches(position, _BATCH):
            if not self._count(segment, batch, position, after):
                return counted  # Somebody else is at it.
            position, counted = after, counted + len(batch)
        if is_finished:
            segment.delete()
        return counted

    def _count(self, segment: Segment, batch: Sequence[bytes], since: int, to: int) -> bool:
        now = utcnow()
        with transaction() as session:
            if not counting.move(session, segment.name, since=since, to=to, now=now):
                return False
            unreadable = counting.count(session, batch, secret=self._settings.secret_key, now=now)
        if unreadable:
            log.error("%d records of the journal %s can't be read and are not counted", unreadable, segment.name)
        return True

    def run(self, stop: threading.Event) -> None:
        """Drain again and again until told to stop."""
        pause = EVERY
        while not stop.wait(pause):
            pause = EVERY
            try:
                self.drain()
            except SQLAlchemyError as error:
                pause = _AFTER_FAILURE
                if isinstance(error, DBAPIError):
                    log.warning("the journal waits, the database does not answer: %s", first_line(error))
                else:
                    log.exception("the journal waits")
            except Exception:  # What can't be counted today must not end the counting.
                pause = _AFTER_FAILURE
                log.exception("the journal waits")


def main() -> int:
    """Answers the exit status."""
    from app import create_app

    app = create_app()
    settings = cast(Settings, app.extensions["ota_settings"])
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    lock = os.open(settings.journal_path / "drain.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # Another one of this machine: wait until it ends.
    Drainer(app).run(stop)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
