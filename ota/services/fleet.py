"""Keeping the figures about devices small: adoption is written down each day, and what is old is deleted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, and_, delete, exists, func, select
from sqlalchemy.orm import Session

from ota.models import Adoption, Device, Event, FailureSignature, UpdateCheck, UpdateCompletion
from ota.services import counting
from ota.services.devices import ACTIVE_WITHIN
from ota.services.tallies import insert

CHECKS_KEPT = timedelta(days=30)
REPORTS_KEPT = timedelta(days=90)
BATCH = 5_000
"""So many rows of a table are deleted in one transaction at most: counting must not wait long for it."""

_HAS_EVENTS = exists().where(Event.signature_id == FailureSignature.id)
_KEY = ("app_id", "platform", "app_version")


def note_adoption(session: Session, *, now: datetime) -> None:
    """Write down how many active devices run each version today. Twice a day, or twice at once, it says the same."""
    today = now.date()
    query = select(Device.app_id, Device.platform, Device.app_version, func.count()).where(Device.last_seen_at > now - ACTIVE_WITHIN)
    found = {
        (row[0], row[1], row[2]): row[3] for row in session.execute(query.group_by(Device.app_id, Device.platform, Device.app_version))
    }
    for row in session.scalars(select(Adoption).where(Adoption.day == today)):
        if (row.app_id, row.platform, row.app_version) not in found:
            session.delete(row)  # Nobody runs it since the last look.
    session.flush()
    # In one order everywhere, so that two writers never wait for each other.
    rows = [{**dict(zip(_KEY, key, strict=True)), "day": today, "devices": found[key]} for key in sorted(found)]
    if rows:
        statement = insert(session, Adoption)
        grown = statement.on_conflict_do_update(
            index_elements=["app_id", "platform", "day", "app_version"], set_={"devices": statement.excluded.devices}
        )
        session.connection().execute(grown, rows)


def prune(session: Session, *, now: datetime) -> bool:
    """Delete what is older than it is kept, of each table at most `BATCH` rows. True while there is more to delete."""
    counting.forget_positions(session, now=now)
    deleted = [
        _delete(session, UpdateCheck, UpdateCheck.created_at < now - CHECKS_KEPT),
        _delete(session, UpdateCompletion, UpdateCompletion.completed_at < now - REPORTS_KEPT),
        _delete(session, Event, Event.received_at < now - REPORTS_KEPT),
        _delete(session, FailureSignature, and_(FailureSignature.last_at < now - REPORTS_KEPT, ~_HAS_EVENTS)),
    ]
    return max(deleted) >= BATCH


def _delete(session: Session, model: Any, is_old: Any) -> int:
    old = select(model.id).where(is_old).limit(BATCH)
    found = session.execute(delete(model).where(model.id.in_(old)), execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", found).rowcount
