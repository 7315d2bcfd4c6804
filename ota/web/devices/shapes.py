"""Shapes of requests and answers about single devices."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from ota.web.shapes import AppSlug, PlatformText

Cursor = Annotated[str, Meta(max_length=60, description="`next` of the page before it.")]


class DevicesQuery(Struct, kw_only=True):
    """Which devices to list."""

    platform: PlatformText = "android"
    unseen_days: (
        Annotated[
            int,
            Meta(ge=1, le=3650, description="Only devices that have not checked for this number of days."),
        ]
        | None
    ) = None
    version: (
        Annotated[
            str,
            Meta(
                max_length=200,
                description="Only devices that run exactly this version.",
                examples=["1.1.0+2"],
            ),
        ]
        | None
    ) = None
    after: Cursor | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class DeviceQuery(Struct, kw_only=True):
    """One device."""

    device_id: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            description="The id that the device sends, or its hash from a list.",
        ),
    ]
    app: AppSlug | None = None


class DeviceStoryQuery(DeviceQuery, kw_only=True):
    """One device, and which part of its timeline."""

    before: (
        Annotated[datetime, Meta(description="Only what it did before this time. A time zone is required.")]
        | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 200


class DeviceView(Struct, kw_only=True):
    """A device, as it reported itself last."""

    device_hash: str
    platform: str
    app_version: str
    version_code: int | None
    sdk: int | None
    os_version: str | None
    abis: list[str]
    first_seen_at: datetime
    last_seen_at: datetime


class DevicesAnswer(Struct, kw_only=True):
    """Devices, the last seen first. ``next`` is the `after` of the next page, null on the last page."""

    ok: bool = True
    devices: list[DeviceView]
    next: str | None


class WayView(Struct, kw_only=True):
    """The journey of the device in a release.

    In the control group, the device checked while the release was open to others only.
    """

    release_id: int
    version: str
    version_code: int
    channel: str
    is_control: bool
    offered_at: datetime | None
    downloaded_at: datetime | None
    installed_at: datetime | None
    healthy_at: datetime | None
    failed_at: datetime | None
    failure: str | None
    left_at: datetime | None


class MomentView(Struct, kw_only=True, omit_defaults=True):
    """Something that the device did. Fields that do not apply are left out.

    ``what`` is `check`, `completion` or the name of an event.
    """

    at: datetime
    what: str
    version: str | None = None
    offered: str | None = None
    reason: str | None = None
    release_id: int | None = None
    to_version: str | None = None
    is_inferred: bool | None = None
    event_id: str | None = None
    signature: str | None = None
    duration_ms: int | None = None


class DeviceAnswer(Struct, kw_only=True):
    """Everything that is known about a device. Send ``before`` to get older moments; null: there are none."""

    ok: bool = True
    device_hash: str
    devices: Annotated[list[DeviceView], Meta(description="One for each platform on which the id is used.")]
    groups: list[str]
    releases: list[WayView]
    moments: list[MomentView]
    before: datetime | None
    message: str


class ForgottenAnswer(Struct, kw_only=True):
    """The device is forgotten."""

    ok: bool = True
    rows: Annotated[int, Meta(description="Number of rows deleted.")]
    message: str
