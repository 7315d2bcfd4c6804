"""Counts per hour: collected over a batch, then added to the rows with one statement per table."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from ota.core.telemetry import Stage
from ota.models import CheckCount, ReleaseCount
from ota.models.base import Base


def insert(session: Session, model: type[Base]) -> Any:
    """Return an INSERT of the session's database that supports ``ON CONFLICT``."""
    return (postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert)(model)


def hour_of(at: datetime) -> datetime:
    """Return the start of the hour."""
    return at.replace(minute=0, second=0, microsecond=0)


class HourlyCounts:
    """The counts of one batch."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._checks: Counter[tuple[int, str, datetime, int, str, int]] = Counter()
        self._stages: dict[tuple[int, datetime, Stage], list[int]] = defaultdict(lambda: [0, 0])

    def check(
        self, app_id: int, channel_id: int, platform: str, at: datetime, release_id: int | None, reason: str
    ) -> None:
        """Add one check with this answer."""
        self._checks[channel_id, platform, hour_of(at), release_id or 0, reason, app_id] += 1

    def stage(
        self, release_id: int, stage: Stage, at: datetime, *, devices: int = 0, events: int = 0
    ) -> None:
        """Add devices that reached the stage for the first time, and events that reported it."""
        counted = self._stages[release_id, hour_of(at), stage]
        counted[0] += devices
        counted[1] += events

    def write(self) -> None:
        """Add everything to the database. Rows are sorted, so that concurrent writers do not deadlock."""
        keys = ("channel_id", "platform", "hour", "release_id", "reason", "app_id")
        self._add(
            CheckCount,
            [{**dict(zip(keys, key, strict=True)), "checks": n} for key, n in sorted(self._checks.items())],
            "checks",
        )
        rows = [
            {"release_id": release_id, "hour": hour, "stage": stage, "devices": devices, "events": events}
            for (release_id, hour, stage), (devices, events) in sorted(self._stages.items())
        ]
        self._add(ReleaseCount, rows, "devices", "events")

    def _add(self, model: type[Base], rows: list[dict[str, Any]], *counts: str) -> None:
        if not rows:
            return
        statement = insert(self._session, model)
        table: Any = model.__table__
        grown = {name: table.c[name] + statement.excluded[name] for name in counts}
        self._session.connection().execute(
            statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=grown), rows
        )
