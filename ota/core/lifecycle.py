"""Which state may follow which. The services ask here before they write."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class UploadStatus(StrEnum):
    """Where one uploaded file is on its way to becoming a version."""

    RECEIVED = "received"
    PROCESSING = "processing"
    READY = "ready"
    REJECTED = "rejected"


class ReleaseState(StrEnum):
    """What a release does at the moment. How far it is open is its rollout, not its state."""

    ACTIVE = "active"
    PAUSED = "paused"
    HALTED = "halted"
    ROLLED_BACK = "rolled_back"
    WITHDRAWN = "withdrawn"
    CONCLUDED = "concluded"
    """An arm whose experiment has ended."""


class ExperimentState(StrEnum):
    """Whether an experiment still divides devices among its arms."""

    RUNNING = "running"
    ENDED = "ended"


class ProposalState(StrEnum):
    """What became of an act that needs another person's approval."""

    OPEN = "open"
    APPROVED = "approved"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


UPLOAD_MOVES: Mapping[UploadStatus, frozenset[UploadStatus]] = {
    UploadStatus.RECEIVED: frozenset({UploadStatus.PROCESSING, UploadStatus.REJECTED}),
    # Itself: another stage. Back to received: the worker died or the world failed, and the file waits for another try.
    UploadStatus.PROCESSING: frozenset({*UploadStatus}),
    UploadStatus.READY: frozenset(),
    UploadStatus.REJECTED: frozenset(),
}

OPEN_UPLOADS = frozenset({UploadStatus.RECEIVED, UploadStatus.PROCESSING})
"""Not at its end yet: its bytes are still needed in the quarantine."""

_ENDS = frozenset({ReleaseState.ROLLED_BACK, ReleaseState.WITHDRAWN, ReleaseState.CONCLUDED})

RELEASE_MOVES: Mapping[ReleaseState, frozenset[ReleaseState]] = {
    ReleaseState.ACTIVE: frozenset({ReleaseState.PAUSED, ReleaseState.HALTED, *_ENDS}),
    ReleaseState.PAUSED: frozenset({ReleaseState.ACTIVE, *_ENDS}),
    ReleaseState.HALTED: frozenset({ReleaseState.ACTIVE, *_ENDS}),
    ReleaseState.ROLLED_BACK: frozenset(),
    ReleaseState.WITHDRAWN: frozenset(),
    ReleaseState.CONCLUDED: frozenset(),
}

LIVE_STATES = frozenset({ReleaseState.ACTIVE, ReleaseState.PAUSED, ReleaseState.HALTED})
"""The release still stands; its version counts as active and its file can be downloaded."""


def may_move_upload(old: UploadStatus, new: UploadStatus) -> bool:
    return new in UPLOAD_MOVES[old]


def may_move_release(old: ReleaseState, new: ReleaseState) -> bool:
    return new in RELEASE_MOVES[old]


class HealthAction(StrEnum):
    """What the server does by itself about a release that is bad. It never offers anything new."""

    NOTIFY = "notify"
    HALT = "halt"
    ROLL_BACK = "roll_back"


class HealthTest(StrEnum):
    """What a release's devices are looked at for, in the order in which they speak when several call it bad."""

    CONTROL = "control"
    """Failures, against the devices of the control."""
    ALONE = "alone"
    """Failures, against an acceptable rate."""
    SILENCE = "silence"
    """Devices that have ceased to call, against those of the control."""
