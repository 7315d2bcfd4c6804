"""Completed updates, reported by a device or inferred from a later check. Each one counts once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from ota.core.platforms import Platform
from ota.models import UpdateCompletion
from ota.telemetry.hourly_counts import insert

_KEY = ["app_id", "platform", "device_id", "from_version", "to_version"]


class Completion(NamedTuple):
    """A device went from one version to another. ``code`` is its new build, None if it did not say."""

    app_id: int
    platform: Platform
    device: str
    from_version: str
    to_version: str
    code: int | None
    at: datetime


def write(session: Session, done: Sequence[Completion], *, is_inferred: bool) -> None:
    """Insert completions. One that is inferred already becomes a reported one."""
    rows = [
        {
            "app_id": each.app_id,
            "device_id": each.device,
            "from_version": each.from_version,
            "to_version": each.to_version,
            "platform": each.platform,
            "is_inferred": is_inferred,
            "completed_at": each.at,
        }
        for each in done
    ]
    if not rows:
        return
    statement = insert(session, UpdateCompletion)
    if is_inferred:
        statement = statement.on_conflict_do_nothing()
    else:
        statement = statement.on_conflict_do_update(index_elements=_KEY, set_={"is_inferred": False})
    session.connection().execute(statement, rows)
