"""What the tests of apps, channels and groups ask the database about acts."""

from __future__ import annotations

from sqlalchemy import select

from ota.db import reader
from ota.history import audit
from ota.models import App


def catalog_revision() -> int:
    """The counter that every change to the default app's answers raises."""
    reader().rollback()
    return reader().scalars(select(App.catalog_revision).where(App.is_default)).one()


def acts_on(kind: str, key: int) -> list[str]:
    """The actions in the history of one subject, newest first."""
    reader().rollback()
    return [event.action for event in audit.history(reader(), subjects=[(kind, key)])]
