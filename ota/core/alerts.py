"""Kinds of alerts, the acts that cause them, and the waits between the tries of a delivery."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum


class AlertKind(StrEnum):
    """The subject of an alert."""

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
    """Sent on request, whatever kinds its receiver has chosen."""


SELECTABLE = tuple(kind for kind in AlertKind if kind is not AlertKind.TEST)
"""The kinds that a receiver can choose."""

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
"""The kind of alert that each action of the history causes. Actions that are not listed cause none."""


class DeliveryState(StrEnum):
    """How far a delivery has got."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


MAX_TRIES = 8
EXPIRY_WARNINGS = (timedelta(days=3), timedelta(days=14))
"""Times before a profile's expiry at which an alert goes out, the shortest first."""

_FIRST_WAIT = timedelta(seconds=30)
_FACTOR = 3.5


def wait_after(tries: int, share: float) -> timedelta | None:
    """Return the wait after this many failed tries, or None when the delivery is given up.

    ``share`` (0 to 1) spreads the tries by 20 % up or down.
    """
    if tries >= MAX_TRIES:
        return None
    return _FIRST_WAIT * float(_FACTOR ** (tries - 1)) * (0.8 + 0.4 * share)


def expiry_warning(left: timedelta) -> int | None:
    """Return the warning threshold, in days, that a profile with this much time left has reached, or None."""
    return next((threshold.days for threshold in EXPIRY_WARNINGS if left <= threshold), None)
