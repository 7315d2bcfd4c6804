"""Shapes of what is told about an app's devices as a whole."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from msgspec import Meta, Struct

from ota.web.health.shapes import FailureView
from ota.web.shapes import PlatformText


class FleetQuery(Struct, kw_only=True):
    """Which devices, over how many days."""

    platform: PlatformText = "android"
    days: Annotated[int, Meta(ge=1, le=90, description="The last so many days.")] = 7


class RunningView(Struct, kw_only=True):
    """How many active devices run a version."""

    version: str
    devices: int


class AdoptionPoint(Struct, kw_only=True):
    """How many active devices ran a version at the end of a day (UTC); today at the last look.

    The smallest versions are "other".
    """

    day: date
    version: str
    devices: int


class ChecksPoint(Struct, kw_only=True):
    """How many checks were answered with a reason, from this moment until the next one."""

    since: datetime
    reason: str
    checks: int


class FleetAnswer(Struct, kw_only=True):
    """The devices of one platform; platforms are never put together."""

    ok: bool = True
    platform: str
    days: int
    known: Annotated[int, Meta(description="Devices that have asked, and are not forgotten.")]
    unseen: Annotated[
        dict[str, int], Meta(description="By days: so many known devices have not asked for so long.")
    ]
    counted_on: Annotated[
        date | None, Meta(description="When `running` was counted; null before the first time.")
    ]
    running: list[RunningView]
    adoption: list[AdoptionPoint]
    checks: list[ChecksPoint]
    failures: Annotated[
        list[FailureView],
        Meta(
            description="The hundred that failed on the most devices for the first time in these days, with the events of these days."
        ),
    ]
    message: str
