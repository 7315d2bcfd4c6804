"""Signs of life: is the database there, when was a worker last seen?"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from ota.models import Heartbeat

WORKER = "worker"
WORKER_IS_LATE_AFTER = timedelta(seconds=90)


def check_database(session: Session) -> None:
    """Raises what the database raises when it doesn't answer."""
    session.execute(text("SELECT 1"))


def beat(session: Session, component: str, *, now: datetime) -> None:
    """Note that a part of the server is alive."""
    session.merge(Heartbeat(component=component, seen_at=now))


def last_seen(session: Session, component: str) -> datetime | None:
    heartbeat = session.get(Heartbeat, component)
    return heartbeat.seen_at if heartbeat else None
