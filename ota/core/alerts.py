"""What people are told about, of which acts, and when a telling that failed is tried again."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum


class AlertKind(StrEnum):
    """What an alert is about."""

    UPLOAD_READY = "upload.ready"
    UPLOAD_REJECTED = "upload.rejected"
    PUBLISHED = "release.published"
    PLAN_STEP = "release.plan_step"
    FOUND_BAD = "release.found_bad"
    HALTED = "release.halted"
    PAUSED = "release.paused"
    RESUMED = "release.resumed"
    ROLLED_BACK = "release.rolled_back"
    WITHDRAWN = "release.withdrawn"
    SHUT_OFF = "app.shut_off"
    TURNED_ON = "app.turned_on"
    PROFILE_EXPIRING = "profile.expiring"
    TEST = "test"
    """Sent when somebody asks for it, whatever was chosen."""


CHOSEN = tuple(kind for kind in AlertKind if kind is not AlertKind.TEST)
"""The kinds that can be chosen."""

OF_ACTION = {
    "upload.ready": AlertKind.UPLOAD_READY,
    "upload.rejected": AlertKind.UPLOAD_REJECTED,
    "release.started": AlertKind.PUBLISHED,
    "release.plan_step": AlertKind.PLAN_STEP,
    "release.found_bad": AlertKind.FOUND_BAD,
    "release.halted": AlertKind.HALTED,
    "release.paused": AlertKind.PAUSED,
    "release.resumed": AlertKind.RESUMED,
    "release.rolled_back": AlertKind.ROLLED_BACK,
    "release.withdrawn": AlertKind.WITHDRAWN,
    "app.shut_off": AlertKind.SHUT_OFF,
    "channel.shut_off": AlertKind.SHUT_OFF,
    "app.turned_on": AlertKind.TURNED_ON,
    "channel.turned_on": AlertKind.TURNED_ON,
    "version.profile_expiring": AlertKind.PROFILE_EXPIRING,
}
"""Which acts of the history are told to people."""


class DeliveryState(StrEnum):
    """Where one telling is on its way."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


MAX_TRIES = 8
EXPIRY_WARNINGS = (timedelta(days=3), timedelta(days=14))
"""So long before a profile's end people are told, the nearest first."""

_FIRST_WAIT = timedelta(seconds=30)
_FACTOR = 3.5


def wait_after(tries: int, share: float) -> timedelta | None:
    """How long to wait after so many tries that failed; None when it is given up. ``share`` (0 to 1) spreads the tries by 20 %."""
    if tries >= MAX_TRIES:
        return None
    return _FIRST_WAIT * float(_FACTOR ** (tries - 1)) * (0.8 + 0.4 * share)


def expiry_warning(left: timedelta) -> int | None:
    """The threshold in days that a profile with so much time left has come to; None when its end is far."""
    return next((threshold.days for threshold in EXPIRY_WARNINGS if left <= threshold), None)
