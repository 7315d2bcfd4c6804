"""Health of the server itself, for load balancers and people."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import Blueprint, current_app
from sqlalchemy.exc import SQLAlchemyError

from ota import __version__
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader
from ota.machine import heartbeat as machine_heartbeat
from ota.machine import queue
from ota.parts import part
from ota.storage import ArtifactStore
from ota.web.operation import SYSTEM, Operation, operation
from ota.web.shapes import ComponentView, HealthAnswer

log = logging.getLogger(__name__)
blueprint = Blueprint("health", __name__)

# Devices need these components. Without the others only new uploads wait.
_VITAL = {"database", "storage"}


@blueprint.get("/api/system/health")
@operation(Operation(access=Access.PUBLIC, summary="Health", tag=SYSTEM, answer=HealthAnswer))
def health() -> tuple[HealthAnswer, int]:
    """Return the state of each component, and 503 if one that devices need is down."""
    components = {
        "database": _probe("database", lambda: machine_heartbeat.check_database(reader())),
        "storage": _probe("storage", part(ArtifactStore).check),
        "queue": _probe("queue", lambda: queue.check_broker(current_app)),
    }
    components["worker"] = _worker(is_database_up=components["database"].state == "up")
    is_served = all(components[name].state == "up" for name in _VITAL)
    is_well = all(component.state == "up" for component in components.values())
    status = "down" if not is_served else "ok" if is_well else "degraded"
    return HealthAnswer(
        ok=is_served, status=status, version=__version__, components=components
    ), 200 if is_served else 503


def _probe(name: str, check: Callable[[], None]) -> ComponentView:
    try:
        check()
    except Exception as error:  # A component is down whatever its error is. The log has the error.
        log.warning("%s is down: %s", name, error)
        return ComponentView(state="down", detail="does not answer; see the server's log")
    return ComponentView(state="up")


def _worker(*, is_database_up: bool) -> ComponentView:
    if not is_database_up:
        return ComponentView(state="unknown", detail="its sign of life is in the database")
    try:
        seen_at = machine_heartbeat.last_seen(reader(), machine_heartbeat.WORKER)
    except SQLAlchemyError as error:
        log.warning("the worker's heartbeat cannot be read: %s", error)
        return ComponentView(
            state="unknown", detail="its sign of life can't be read; is the database migrated?"
        )
    if seen_at is None:
        return ComponentView(state="late", detail="not seen yet")
    age = utcnow() - seen_at
    detail = f"seen {max(0, int(age.total_seconds()))} s ago"
    return ComponentView(
        state="late" if age > machine_heartbeat.WORKER_IS_LATE_AFTER else "up", detail=detail
    )
