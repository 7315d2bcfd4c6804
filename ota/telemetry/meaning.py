"""The meaning of reports: what an event proves about its device, and the time at which a report counts."""

from __future__ import annotations

from datetime import datetime

from ota.core.health_votes import Policy, placed_at
from ota.core.telemetry import EventKind
from ota.telemetry.records import CompletionReport, EventReport

PROVES_RUNNING = frozenset({EventKind.INSTALLED, EventKind.LAUNCH_OK})
"""Events after which the device is recorded as running the version."""

PROVES_INSTALLED = PROVES_RUNNING | {EventKind.LAUNCH_FAILED, EventKind.CRASH, EventKind.ANR}
"""Events that only a device with the version installed can send."""

_DEFAULT_POLICY = Policy()
"""Reports settle in the same time for all apps: no app can change it."""


def counted_at(report: EventReport | CompletionReport) -> datetime:
    """Return the time at which a report counts (see `placed_at`): for a completion, when it was received."""
    if isinstance(report, CompletionReport):
        return report.at
    return placed_at(report.at, report.received_at, _DEFAULT_POLICY)
