"""The kinds of events that devices report, and the stages of a release that follow from them."""

from __future__ import annotations

from enum import StrEnum


class EventKind(StrEnum):
    """The kind of an event on a device."""

    DOWNLOAD_STARTED = "download_started"
    DOWNLOAD_COMPLETED = "download_completed"
    DOWNLOAD_FAILED = "download_failed"
    CHECKSUM_FAILED = "checksum_failed"
    SIGNATURE_FAILED = "signature_failed"
    INSUFFICIENT_SPACE = "insufficient_space"
    INSTALL_STARTED = "install_started"
    INSTALLED = "installed"
    INSTALL_FAILED = "install_failed"
    USER_DEFERRED = "user_deferred"
    LAUNCH_OK = "launch_ok"
    LAUNCH_FAILED = "launch_failed"
    CRASH = "crash"
    ANR = "anr"


class Stage(StrEnum):
    """How far a device got with a release."""

    OFFERED = "offered"
    DOWNLOADED = "downloaded"
    INSTALLED = "installed"
    HEALTHY = "healthy"
    FAILED = "failed"


FAILURES = frozenset({EventKind.INSTALL_FAILED, EventKind.LAUNCH_FAILED, EventKind.CRASH})
"""Events that are a vote against their version. Deferrals, full disks, broken downloads and ANRs are not."""

STAGES = {
    EventKind.DOWNLOAD_COMPLETED: Stage.DOWNLOADED,
    EventKind.INSTALLED: Stage.INSTALLED,
    EventKind.LAUNCH_OK: Stage.HEALTHY,
    **dict.fromkeys(FAILURES, Stage.FAILED),
}
"""The stage that a device reaches with an event."""

WITH_TEXT = FAILURES | {
    EventKind.ANR,
    EventKind.DOWNLOAD_FAILED,
    EventKind.CHECKSUM_FAILED,
    EventKind.SIGNATURE_FAILED,
}
"""Events that can carry a failure signature and a text."""
