"""Shapes of the figures about an app's devices."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from msgspec import Meta, Struct

from ota.web.health.shapes import FailureView
from ota.web.shapes import PlatformText


class FleetQuery(Struct, kw_only=True):
    """The platform and the number of days."""

    platform: PlatformText = "android"
    days: Annotated[int, Meta(ge=1, le=90, description="The period, in days up to now.")] = 7


class RunningView(Struct, kw_only=True):
    """The number of active devices that run a version."""

    version: str
    devices: int


class AdoptionPoint(Struct, kw_only=True):
    """The number of active devices that ran a version at the end of a day (UTC), for today so far.

    The smallest versions are counted as "other".
    """

    day: date
    version: str
    devices: int


class ChecksPoint(Struct, kw_only=True):
    """The number of checks answered with a reason, from this moment until the next one."""

    since: datetime
    reason: str
    checks: int


class FleetAnswer(Struct, kw_only=True):
    """The devices of one platform. Figures of different platforms are never put together."""

    ok: bool = True
    platform: str
    days: int
    known: Annotated[int, Meta(description="Devices that have checked and were not forgotten.")]
    unseen: Annotated[
        dict[str, int],
        Meta(description="By number of days: the known devices without a check for that time."),
    ]
    counted_on: Annotated[
        date | None, Meta(description="The day on which `running` was counted; null if it never was.")
    ]
    running: list[RunningView]
    adoption: list[AdoptionPoint]
    checks: list[ChecksPoint]
    failures: Annotated[
        list[FailureView],
        Meta(
            description="The 100 failure groups with the most devices that failed for the first time in the "
            "period, and their events in the period."
        ),
    ]
    message: str
