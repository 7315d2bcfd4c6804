"""The audit log: every act that changes something writes a row in its own transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from ota.core.permissions import Role
from ota.history import outbox
from ota.models import AuditEvent


@dataclass(frozen=True, slots=True)
class Actor:
    """Author of an act: a person, a token, or the server itself. The history shows ``label``."""

    label: str
    role: Role
    user_id: int | None = None
    address: str | None = None


SYSTEM = Actor(label="server", role=Role.ADMIN)


def record(
    session: Session,
    actor: Actor,
    action: str,
    subject: tuple[str, object],
    *,
    now: datetime,
    app_id: int | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Record an act.

    ``subject`` is a type and an id; ``before`` and ``after`` hold only changes and no secrets.

    The act is also put into the outbox for receivers that chose its kind; it is sent after the commit.
    """
    event = AuditEvent(
        at=now,
        actor=actor.label,
        address=actor.address,
        action=action,
        app_id=app_id,
        subject_type=subject[0],
        subject_id=str(subject[1]),
        before=before,
        after=after,
    )
    session.add(event)
    outbox.announce(session, event)


def history(
    session: Session,
    *,
    app_id: int | None = None,
    subjects: Iterable[tuple[str, object]] | None = None,
    limit: int = 100,
    offset: int = 0,
) -> Sequence[AuditEvent]:
    """Return events, the newest first: all, or those of an app or of some subjects (type and id)."""
    query = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit).offset(offset)
    if app_id is not None:
        query = query.where(AuditEvent.app_id == app_id)
    if subjects is not None:
        wanted = [(kind, str(key)) for kind, key in subjects]
        query = query.where(tuple_(AuditEvent.subject_type, AuditEvent.subject_id).in_(wanted))
    return session.scalars(query).all()
