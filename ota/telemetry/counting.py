"""Counting what devices reported: a batch of the journal into the database, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.orm import Session

from ota.models import App, JournalPosition, Version
from ota.telemetry import checks, events, installed_versions, late_reports, records
from ota.telemetry.hourly_counts import Tallies, insert
from ota.telemetry.records import Check, CompletionReport, EventReport

DONE = -1
"""The position of a segment that was counted to its end and is deleted, or about to be."""

_FORGOTTEN_AFTER = timedelta(days=30)


def position(session: Session, name: str) -> int:
    """How far this segment was counted: 0 for one that nobody knows, `DONE` for one that is of no use any more."""
    return session.scalar(select(JournalPosition.position).where(JournalPosition.name == name)) or 0


def move(session: Session, name: str, *, since: int, to: int, now: datetime) -> bool:
    """Say that the segment is counted up to there, if it was counted up to ``since``. False: somebody else has counted it."""
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
    """Say that the segment is counted to its end, before it is deleted. False: somebody else has counted more of it."""
    return since == 0 or move(session, name, since=since, to=DONE, now=now)


def forget_positions(session: Session, *, now: datetime) -> None:
    """Segments that were deleted long ago need no position. One that is still there needs it, however quiet it is: only whoever deletes it
    knows that it has gone, and says so with `finish`."""
    old = JournalPosition.position == DONE, JournalPosition.updated_at < now - _FORGOTTEN_AFTER
    session.execute(delete(JournalPosition).where(*old))


def count(session: Session, batch: Sequence[bytes], *, secret: str, now: datetime) -> int:
    """Count records of the journal; answers how many could not be read. ``secret`` is the key of `devices.hashed`.

    What devices say of themselves is counted first, so that an event finds the offer that it belongs to.
    """
    found = [late_reports.judged(session, each) for each in map(records.read, batch)]
    keeping = {row.id: row.keeps_devices for row in session.execute(select(App.id, App.keeps_devices))}
    tallies = Tallies(session)
    checks.count(
        session, tallies, [each for each in found if isinstance(each, Check)], keeping, secret=secret, now=now
    )
    said = [
        each
        for each in found
        if isinstance(each, EventReport | CompletionReport) and keeping.get(each.app_id)
    ]
    said = installed_versions.note(session, tallies, _of_versions_that_are(session, said), secret=secret)
    events.count(session, tallies, said, secret=secret)
    tallies.write()
    return sum(each is None for each in found)


def _of_versions_that_are(
    session: Session, said: Sequence[EventReport | CompletionReport]
) -> list[EventReport | CompletionReport]:
    """Without events of versions that were deleted since they were reported."""
    ids = {each.version_id for each in said if isinstance(each, EventReport)}
    there = set(session.scalars(select(Version.id).where(Version.id.in_(ids)))) if ids else set()
    return [each for each in said if isinstance(each, CompletionReport) or each.version_id in there]
