"""Count a batch of the journal in one transaction, and remember how far each segment was counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.orm import Session

from ota.models import App, JournalPosition, Version
from ota.telemetry import checks, events, installed_versions, late_reports, records
from ota.telemetry.hourly_counts import HourlyCounts, insert
from ota.telemetry.records import CheckReport, CompletionReport, EventReport

DONE = -1
"""The position of a segment that was counted to its end, and was deleted or is about to be."""

_FORGOTTEN_AFTER = timedelta(days=30)


def position(session: Session, name: str) -> int:
    """Return how far this segment was counted: 0 for an unknown one, `DONE` for one that is complete."""
    return session.scalar(select(JournalPosition.position).where(JournalPosition.name == name)) or 0


def move(session: Session, name: str, *, since: int, to: int, now: datetime) -> bool:
    """Record that the segment is counted up to ``to``, if it was counted up to ``since`` before.

    Return False, and change nothing, if another process has counted it meanwhile.
    """
    if since == 0:
        made = (
            insert(session, JournalPosition)
            .values(name=name, position=to, updated_at=now)
            .on_conflict_do_nothing()
        )
        return session.scalar(made.returning(JournalPosition.name)) is not None
    statement = update(JournalPosition).where(JournalPosition.name == name, JournalPosition.position == since)
    found = session.execute(
        statement.values(position=to, updated_at=now), execution_options={"synchronize_session": False}
    )
    return cast("CursorResult[Any]", found).rowcount == 1


def finish(session: Session, name: str, *, since: int, now: datetime) -> bool:
    """Record that the segment is counted to its end, before it is deleted.

    Return False if another process has counted more of it.
    """
    return since == 0 or move(session, name, since=since, to=DONE, now=now)


def forget_positions(session: Session, *, now: datetime) -> None:
    """Delete the positions of segments that were deleted long ago.

    A segment that still exists needs its position, however long nothing was added to it. Only the process
    that deletes a segment knows that it is gone, and records that with `finish`.
    """
    old = JournalPosition.position == DONE, JournalPosition.updated_at < now - _FORGOTTEN_AFTER
    session.execute(delete(JournalPosition).where(*old))


def count(session: Session, batch: Sequence[bytes], *, secret: str, now: datetime) -> int:
    """Count records, and return how many were unreadable. ``secret`` is the key of `devices.hashed`.

    Checks are counted before reports, so that an event finds the offer that it belongs to.
    """
    found = [late_reports.judged(session, each) for each in map(records.read, batch)]
    keeping = {row.id: row.keeps_devices for row in session.execute(select(App.id, App.keeps_devices))}
    counts = HourlyCounts(session)
    checked = [each for each in found if isinstance(each, CheckReport)]
    checks.count(session, counts, checked, keeping, secret=secret, now=now)
    reported = [
        each
        for each in found
        if isinstance(each, EventReport | CompletionReport) and keeping.get(each.app_id)
    ]
    reported = _with_existing_version(session, reported)
    reported = installed_versions.note(session, counts, reported, secret=secret)
    events.count(session, counts, reported, secret=secret)
    counts.write()
    return sum(each is None for each in found)


def _with_existing_version(
    session: Session, reports: Sequence[EventReport | CompletionReport]
) -> list[EventReport | CompletionReport]:
    """Leave out events of versions that were deleted after the event was accepted."""
    ids = {each.version_id for each in reports if isinstance(each, EventReport)}
    existing = set(session.scalars(select(Version.id).where(Version.id.in_(ids)))) if ids else set()
    return [each for each in reports if isinstance(each, CompletionReport) or each.version_id in existing]
