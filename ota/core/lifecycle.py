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


UPLOAD_MOVES: Mapping[UploadStatus, frozenset[UploadStatus]] = {
    UploadStatus.RECEIVED: frozenset({UploadStatus.PROCESSING, UploadStatus.REJECTED}),
    # Itself: another stage. Back to received: the worker died or the world failed, and the file waits for another try.
    UploadStatus.PROCESSING: frozenset({*UploadStatus}),
    UploadStatus.READY: frozenset(),
    UploadStatus.REJECTED: frozenset(),
}

OPEN_UPLOADS = frozenset({UploadStatus.RECEIVED, UploadStatus.PROCESSING})
"""Not at its end yet: its bytes are still needed in the quarantine."""

RELEASE_MOVES: Mapping[ReleaseState, frozenset[ReleaseState]] = {
    ReleaseState.ACTIVE: frozenset({ReleaseState.PAUSED, ReleaseState.HALTED, ReleaseState.ROLLED_BACK, ReleaseState.WITHDRAWN}),
    ReleaseState.PAUSED: frozenset({ReleaseState.ACTIVE, ReleaseState.ROLLED_BACK, ReleaseState.WITHDRAWN}),
    ReleaseState.HALTED: frozenset({ReleaseState.ACTIVE, ReleaseState.ROLLED_BACK, ReleaseState.WITHDRAWN}),
    ReleaseState.ROLLED_BACK: frozenset(),
    ReleaseState.WITHDRAWN: frozenset(),
}

LIVE_STATES = frozenset({ReleaseState.ACTIVE, ReleaseState.PAUSED, ReleaseState.HALTED})
"""The release still stands; its version counts as active and its file can be downloaded."""


def may_move_upload(old: UploadStatus, new: UploadStatus) -> bool:
    return new in UPLOAD_MOVES[old]


def may_move_release(old: ReleaseState, new: ReleaseState) -> bool:
    return new in RELEASE_MOVES[old]
