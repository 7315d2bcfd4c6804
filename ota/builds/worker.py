"""One upload from quarantine to version: opens the transactions around the steps of `ota.builds.pipeline`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from flask import Flask
from sqlalchemy.exc import DBAPIError

from ota.builds import pipeline
from ota.builds.pipeline import Job, LeaseLost
from ota.clock import utcnow
from ota.config import Settings
from ota.db import first_line, reader, transaction
from ota.errors import Rejected, StorageFull
from ota.packages import read_package
from ota.parts import part
from ota.storage import ArtifactStore
from ota.storage.incoming import Incoming

log = logging.getLogger(__name__)


def process(app: Flask, upload_id: str) -> None:
    """Bring an upload as far as it goes. May run any number of times, at once, and stop anywhere.

    A bad file ends rejected. A bad world (disk, database) puts the upload back to be tried later. Everything else is a
    fault of ours: it is raised, counted as a death of the worker, and tried again when the lease runs out.
    """
    lease = timedelta(seconds=app.config["OTA_LEASE_SECONDS"])
    with transaction() as session:
        job = pipeline.claim(session, upload_id, now=utcnow(), lease=lease)
    if job is not None:
        try:
            _work(app, job, lease)
        except LeaseLost:
            log.warning("upload %s was taken over by another worker", upload_id)
            return
    if pipeline.is_done(reader(), upload_id):
        _incoming(app).remove(upload_id)


def _work(app: Flask, job: Job, lease: timedelta) -> None:
    try:
        with _kept_alive(app, job, lease):
            _build(app, job, lease)
    except Rejected as error:
        with transaction() as session:
            pipeline.reject(session, job, error, now=utcnow())
    except (OSError, DBAPIError, StorageFull) as error:
        log.warning("upload %s is put back: %s", job.upload_id, first_line(error))
        with transaction() as session:
            pipeline.postpone(session, job, now=utcnow())


def _build(app: Flask, job: Job, lease: timedelta) -> None:
    path = _incoming(app).path(job.upload_id)
    if not path.exists():
        raise Rejected("file_lost", "The server no longer has this file. Upload it again.")
    measured = pipeline.measure(path)
    with transaction() as session:
        pipeline.renew(session, job, now=utcnow(), lease=lease, stage="reading")
    facts = read_package(path)
    with transaction() as session:
        pipeline.note_app(session, job, facts)
    with transaction() as session:
        pipeline.examine(session, job, facts, measured)
        pipeline.renew(session, job, now=utcnow(), lease=lease, stage="storing")
    store = part(ArtifactStore, app)
    store.put(path, measured.sha256)
    with transaction() as session:
        pipeline.finish(session, job, facts, measured, now=utcnow())


@contextmanager
def _kept_alive(app: Flask, job: Job, lease: timedelta) -> Iterator[None]:
    """Renew the lease from a thread while a long step runs, so that only a dead worker loses it."""
    stopped = threading.Event()

    def renew_until_stopped() -> None:
        with app.app_context():
            while not stopped.wait(lease.total_seconds() / 3):
                show_life(app)
                try:
                    with transaction() as session:
                        pipeline.renew(session, job, now=utcnow(), lease=lease)
                except LeaseLost:
                    return
                except DBAPIError as error:
                    log.warning(
                        "the lease of upload %s could not be renewed: %s", job.upload_id, first_line(error)
                    )

    thread = threading.Thread(target=renew_until_stopped, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def show_life(app: Flask) -> None:
    """Tell whoever supervises this worker that it works."""
    settings = part(Settings, app)
    settings.worker_sign_path.touch()


def _incoming(app: Flask) -> Incoming:
    return part(Incoming, app)
