"""Shapes of what devices report."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ota.core.telemetry import EventKind
from ota.telemetry.accept import LONGEST_MS, MAX_EVENTS, MAX_SIGNATURE, MAX_TEXT
from ota.web.shapes import AppSlug, PlatformText

DeviceId = Annotated[str, Meta(max_length=200, description="The id that the device sends with its checks.")]
VersionText = Annotated[
    str, Meta(max_length=200, description="MAJOR.MINOR.PATCH+BUILD.", examples=["1.1.0+2"])
]


class CompleteRequest(Struct, kw_only=True):
    """A device has updated."""

    device_id: DeviceId
    from_version: VersionText
    to_version: VersionText
    platform: PlatformText
    app: AppSlug | None = None


class CompleteAnswer(Struct, kw_only=True):
    """It was taken. A repeat is taken, too, and counts once."""

    ok: bool
    message: str


class EventItem(Struct, kw_only=True):
    """Something that happened on the device. A repeat with the same ``event_id`` counts once."""

    event_id: Annotated[
        str, Meta(max_length=64, description="Made by the app; the same for repeats.", examples=["0b7c-1"])
    ]
    event: Annotated[
        str, Meta(extra_json_schema={"enum": [kind.value for kind in EventKind]}, examples=["installed"])
    ]
    version: Annotated[
        str, Meta(max_length=200, description="The version that it happened with.", examples=["1.1.0+2"])
    ]
    at: Annotated[datetime, Meta(description="When, by the device's clock; now when left out.")] | None = None
    duration_ms: Annotated[int, Meta(description=f"Milliseconds it took, 0 to {LONGEST_MS}.")] | None = None
    signature: (
        Annotated[
            str,
            Meta(description=f"What failures of the same cause have in common; cut after {MAX_SIGNATURE}."),
        ]
        | None
    ) = None
    text: (
        Annotated[
            str, Meta(description=f"The stack or the message of a failure; cut after {MAX_TEXT} characters.")
        ]
        | None
    ) = None


class EventsRequest(Struct, kw_only=True):
    """What happened on one device. Each event is judged by itself.

    Instead of ``events``, the fields of one event may stand beside ``device_id`` and ``platform``.
    """

    device_id: DeviceId
    platform: PlatformText
    events: (
        Annotated[
            list[Annotated[msgspec.Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/EventItem"})]],
            Meta(min_length=1, description=f"At most {MAX_EVENTS}; the first so many of more are taken."),
        ]
        | UnsetType
    ) = UNSET
    event: (
        Annotated[str, Meta(description="Without `events`: the one event, with its other fields beside it.")]
        | UnsetType
    ) = UNSET
    app: AppSlug | None = None
    sent_at: (
        Annotated[
            msgspec.Raw,
            Meta(
                description="What the device's clock shows: a wrong one is corrected.",
                extra_json_schema={"type": ["string", "null"], "format": "date-time"},
            ),
        ]
        | UnsetType
    ) = UNSET


class RefusedEvent(Struct, kw_only=True):
    """An event that was not taken."""

    index: Annotated[int, Meta(description="Its place in the batch, from 0.")]
    event_id: str | None
    code: str
    message: str


class EventsAnswer(Struct, kw_only=True):
    """What was taken and what was not."""

    ok: bool
    taken: int
    refused: list[RefusedEvent]
    note: Annotated[str, Meta(description="Why what was taken is not counted, where that is so.")] | None = (
        None
    )
