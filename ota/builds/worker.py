"""Process one upload: run the steps of `ota.builds.pipeline`, each in a transaction, and keep the lease.

What happens to an upload whose worker is killed is described in `ota.builds.leases`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from flask import Flask
from sqlalchemy.exc import DBAPIError

from ota.builds import leases, pipeline
from ota.builds.leases import Lease, LeaseLost
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
    """Claim an upload and run all steps. Safe to repeat, to run concurrently, and to stop at any point.

    A bad file ends as rejected. A failing disk or database postpones the upload. Any other exception is a
    bug: it is raised, counts as a crash of the worker, and the upload is sent again when the lease expires.
    """
    length = timedelta(seconds=part(Settings, app).lease_seconds)
    with transaction() as session:
        lease = leases.claim(session, upload_id, now=utcnow(), length=length)
    if lease is not None:
        try:
            _work(app, lease, length)
        except LeaseLost:
            log.warning("upload %s was taken over by another worker", upload_id)
            return
    if leases.is_finished(reader(), upload_id):
        part(Incoming, app).remove(upload_id)


def _work(app: Flask, lease: Lease, length: timedelta) -> None:
    try:
        with _kept_alive(app, lease, length):
            _run_steps(app, lease, length)
    except Rejected as error:
        with transaction() as session:
            leases.reject(session, lease, error, now=utcnow())
    except (OSError, DBAPIError, StorageFull) as error:
        log.warning("upload %s is postponed: %s", lease.upload_id, first_line(error))
        with transaction() as session:
            leases.postpone(session, lease, now=utcnow())


def _run_steps(app: Flask, lease: Lease, length: timedelta) -> None:
    path = part(Incoming, app).path(lease.upload_id)
    if not path.exists():
        raise Rejected("file_lost", "The server no longer has this file. Upload it again.")
    measured = pipeline.measure(path)
    with transaction() as session:
        leases.renew(session, lease, now=utcnow(), length=length, stage="reading")
    facts = read_package(path)
    with transaction() as session:
        pipeline.note_app(session, lease, facts)
    with transaction() as session:
        pipeline.examine(session, lease, facts, measured)
        leases.renew(session, lease, now=utcnow(), length=length, stage="storing")
    store = part(ArtifactStore, app)
    store.put(path, measured.sha256)
    with transaction() as session:
        pipeline.finish(session, lease, facts, measured, now=utcnow())


@contextmanager
def _kept_alive(app: Flask, lease: Lease, length: timedelta) -> Iterator[None]:
    """Renew the lease from a thread during long steps, so that only a dead worker loses it."""
    stopped = threading.Event()
    thread = threading.Thread(target=_renew_until, args=(stopped, app, lease, length), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _renew_until(stopped: threading.Event, app: Flask, lease: Lease, length: timedelta) -> None:
    with app.app_context():
        while not stopped.wait(length.total_seconds() / 3):
            show_life(app)
            try:
                with transaction() as session:
                    leases.renew(session, lease, now=utcnow(), length=length)
            except LeaseLost:
                return
            except DBAPIError as error:
                log.warning("lease of upload %s not renewed: %s", lease.upload_id, first_line(error))


def show_life(app: Flask) -> None:
    """Touch this worker's sign of life, which the supervisor watches."""
    settings = part(Settings, app)
    settings.worker_sign_path.touch()
