"""Tasks of the Celery worker. Each task calls one verb and can run twice without harm."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from celery import shared_task
from celery.signals import worker_ready
from flask import current_app
from sqlalchemy.exc import DBAPIError

from ota.alerts import deliveries, expiring_profiles
from ota.builds import leases, uploads
from ota.builds.worker import process, show_life
from ota.clock import utcnow
from ota.db import first_line, reader, transaction
from ota.devices import devices
from ota.fleet import adoption
from ota.machine import heartbeat as machine_heartbeat
from ota.machine import queue
from ota.parts import part
from ota.releases import plans, watch
from ota.storage.incoming import Incoming
from ota.telemetry import prune

log = logging.getLogger(__name__)

ABANDONED_AFTER_SECONDS = 3600.0
_MAX_BATCHES = 200


@shared_task(name=queue.PROCESS_UPLOAD)
def process_upload(upload_id: str) -> None:
    """Measure, read and store one upload, and create its version."""
    with database_may_be_away():  # The upload is sent again when its lease has expired.
        process(current_app._get_current_object(), upload_id)  # type: ignore[attr-defined]


@contextmanager
def database_may_be_away() -> Iterator[None]:
    """Log one line if the database does not answer, instead of a traceback: a periodic task runs again."""
    try:
        yield
    except DBAPIError as error:
        log.warning("the database does not answer: %s", first_line(error))


@shared_task(name="ota.resend_stalled")
def resend_stalled() -> None:
    """Send uploads again whose message was lost or whose worker died."""
    show_life(current_app)
    lease = timedelta(seconds=current_app.config["OTA_LEASE_SECONDS"])
    stalled: Sequence[str] = ()
    with database_may_be_away(), transaction() as session:
        stalled = leases.take_stalled(session, now=utcnow(), length=lease)
    for upload_id in stalled:
        queue.enqueue(current_app, queue.PROCESS_UPLOAD, upload_id)


@shared_task(name="ota.heartbeat")
def heartbeat() -> None:
    """Record that scheduler, broker and worker work together."""
    with database_may_be_away(), transaction() as session:
        machine_heartbeat.beat(session, machine_heartbeat.WORKER, now=utcnow())


@worker_ready.connect
def announce(sender: Any, **_: Any) -> None:
    """Record a started worker at once, before the scheduler's first heartbeat."""
    with sender.app.flask_app.app_context():
        show_life(current_app)
        heartbeat.run()


@shared_task(name="ota.forget_devices")
def forget_devices() -> None:
    """Delete devices that have stopped checking for updates."""
    with database_may_be_away(), transaction() as session:
        devices.forget_old(session, now=utcnow())


@shared_task(name="ota.advance_plans")
def advance_plans() -> None:
    """Take the next step of each plan whose soak has passed.

    One transaction each, so that no plan delays another.
    """
    with database_may_be_away():
        for release_id in plans.due(reader(), now=utcnow()):
            with transaction() as session:
                plans.advance_if_due(session, release_id, now=utcnow())


@shared_task(name="ota.evaluate_health")
def evaluate_health() -> None:
    """Evaluate the health tests of each started release and halt a bad one. One short transaction each."""
    with database_may_be_away():
        for release_id in watch.watched(reader(), now=utcnow()):
            watch.look_once(release_id)


@shared_task(name="ota.roll_up")
def roll_up() -> None:
    """Store today's adoption: the number of active devices by version."""
    with database_may_be_away(), transaction() as session:
        adoption.note_adoption(session, now=utcnow())


@shared_task(name="ota.prune_telemetry")
def prune_telemetry() -> None:
    """Delete expired reports. One transaction for each batch, so that counting continues meanwhile."""
    with database_may_be_away():
        for _ in range(_MAX_BATCHES):
            with transaction() as session:
                has_more = prune.prune(session, now=utcnow())
            if not has_more:
                return


@shared_task(name="ota.warn_expiring")
def warn_expiring() -> None:
    """Send the alert ``profile.expiring`` for profiles that expire soon. One transaction for each app."""
    with database_may_be_away():
        for app_id in expiring_profiles.candidates(reader()):
            with transaction() as session:
                expiring_profiles.warn(session, app_id, now=utcnow())


@shared_task(name="ota.forget_deliveries")
def forget_deliveries() -> None:
    """Delete finished deliveries that are more than 30 days old."""
    with database_may_be_away(), transaction() as session:
        deliveries.forget_old(session, now=utcnow())


@shared_task(name="ota.sweep_incoming")
def sweep_incoming() -> None:
    """Delete files in the quarantine that belong to no upload, because their web process died."""
    with database_may_be_away():
        keep = uploads.unfinished_ids(reader())
        part(Incoming).sweep(keep, ABANDONED_AFTER_SECONDS)
