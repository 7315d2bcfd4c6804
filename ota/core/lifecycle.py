"""States, and the moves between them. Verbs check a move here before they write it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class UploadStatus(StrEnum):
    """The progress of an uploaded file towards a version."""

    RECEIVED = "received"
    PROCESSING = "processing"
    READY = "ready"
    REJECTED = "rejected"


class ReleaseState(StrEnum):
    """What a release does at the moment. Its rollout, not its state, says how far it is open."""

    ACTIVE = "active"
    PAUSED = "paused"
    HALTED = "halted"
    ROLLED_BACK = "rolled_back"
    WITHDRAWN = "withdrawn"
    CONCLUDED = "concluded"
    """The release was an arm, and its experiment has ended."""


class ExperimentState(StrEnum):
    """Whether an experiment still divides devices among its arms."""

    RUNNING = "running"
    ENDED = "ended"


class ProposalState(StrEnum):
    """The progress of an act that needs another person's approval."""

    OPEN = "open"
    APPROVED = "approved"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


UPLOAD_MOVES: Mapping[UploadStatus, frozenset[UploadStatus]] = {
    UploadStatus.RECEIVED: frozenset({UploadStatus.PROCESSING, UploadStatus.REJECTED}),
    # To itself: another stage. Back to received: the worker died or the attempt was postponed.
    UploadStatus.PROCESSING: frozenset({*UploadStatus}),
    UploadStatus.READY: frozenset(),
    UploadStatus.REJECTED: frozenset(),
}

OPEN_UPLOADS = frozenset({UploadStatus.RECEIVED, UploadStatus.PROCESSING})
"""The upload has not ended: its bytes are still needed in the quarantine."""

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
"""A live release: its version is active, and its file can be downloaded."""


def may_move_upload(old: UploadStatus, new: UploadStatus) -> bool:
    return new in UPLOAD_MOVES[old]


def may_move_release(old: ReleaseState, new: ReleaseState) -> bool:
    return new in RELEASE_MOVES[old]


class HealthAction(StrEnum):
    """What the server does on its own about a bad release. It never offers anything new."""

    NOTIFY = "notify"
    HALT = "halt"
    ROLL_BACK = "roll_back"


class HealthTest(StrEnum):
    """The tests of a release. If several call it bad, the first of them in this order is reported."""

    CONTROL = "control"
    """Failures, compared with the control group."""
    ALONE = "alone"
    """Failures, compared with the acceptable rate."""
    SILENCE = "silence"
    """Devices that have stopped checking, compared with the control group."""
