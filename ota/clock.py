"""The only place that reads the clock, so that tests can hold it still."""

from __future__ import annotations

from datetime import UTC, datetime


def utcnow() -> datetime:
    """Return the current time: aware, UTC, to the microsecond."""
    return datetime.now(UTC)
