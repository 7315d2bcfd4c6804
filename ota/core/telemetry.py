"""The words in which devices report, and what they say about a release."""

from __future__ import annotations

from enum import StrEnum


class EventKind(StrEnum):
    """What a device may report."""

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
    """How far a device came with a release."""

    OFFERED = "offered"
    DOWNLOADED = "downloaded"
    INSTALLED = "installed"
    HEALTHY = "healthy"
    FAILED = "failed"


FAILURES = frozenset({EventKind.INSTALL_FAILED, EventKind.LAUNCH_FAILED, EventKind.CRASH})
"""What is a vote against the version it happened with. A deferral, a full disk, a broken download and a slow moment are none."""

STAGES = {
    EventKind.DOWNLOAD_COMPLETED: Stage.DOWNLOADED,
    EventKind.INSTALLED: Stage.INSTALLED,
    EventKind.LAUNCH_OK: Stage.HEALTHY,
    **dict.fromkeys(FAILURES, Stage.FAILED),
}
"""The stage that an event takes the device to."""

WITH_TEXT = FAILURES | {
    EventKind.ANR,
    EventKind.DOWNLOAD_FAILED,
    EventKind.CHECKSUM_FAILED,
    EventKind.SIGNATURE_FAILED,
}
"""Events that may carry a signature and a text."""
