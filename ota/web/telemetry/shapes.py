"""Shapes of reports from devices, and of their answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ota.core.telemetry import EventKind
from ota.telemetry.accept import MAX_DURATION_MS, MAX_EVENTS, MAX_SIGNATURE, MAX_TEXT
from ota.web.shapes import AppSlug, PlatformText

DeviceId = Annotated[str, Meta(max_length=200, description="The id that the device sends with its checks.")]
VersionText = Annotated[
    str, Meta(max_length=200, description="MAJOR.MINOR.PATCH+BUILD.", examples=["1.1.0+2"])
]


class CompleteRequest(Struct, kw_only=True):
    """A device has completed an update."""

    device_id: DeviceId
    from_version: VersionText
    to_version: VersionText
    platform: PlatformText
    app: AppSlug | None = None


class CompleteAnswer(Struct, kw_only=True):
    """The report was accepted. A repeat is accepted too, and counts once."""

    ok: bool
    message: str


class EventItem(Struct, kw_only=True):
    """Something that happened on the device. A repeat with the same ``event_id`` counts once."""

    event_id: Annotated[
        str,
        Meta(
            max_length=64, description="Made by the app; equal for repeats of an event.", examples=["0b7c-1"]
        ),
    ]
    event: Annotated[
        str, Meta(extra_json_schema={"enum": [kind.value for kind in EventKind]}, examples=["installed"])
    ]
    version: Annotated[
        str,
        Meta(max_length=200, description="The version that the event happened with.", examples=["1.1.0+2"]),
    ]
    at: Annotated[datetime, Meta(description="Time on the device's clock. Default: now.")] | None = None
    duration_ms: (
        Annotated[int, Meta(description=f"Duration in milliseconds, 0 to {MAX_DURATION_MS}.")] | None
    ) = None
    signature: (
        Annotated[
            str,
            Meta(description=f"Equal for failures with the same cause; cut to {MAX_SIGNATURE} characters."),
        ]
        | None
    ) = None
    text: (
        Annotated[
            str, Meta(description=f"Stack trace or message of a failure; cut to {MAX_TEXT} characters.")
        ]
        | None
    ) = None


class EventsRequest(Struct, kw_only=True):
    """Events of one device. Each event is accepted or refused by itself.

    Instead of ``events``, the request can have the fields of one event next to ``device_id`` and
    ``platform``.
    """

    device_id: DeviceId
    platform: PlatformText
    events: (
        Annotated[
            list[Annotated[msgspec.Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/EventItem"})]],
            Meta(
                min_length=1,
                description=f"At most {MAX_EVENTS}. Of more, the first {MAX_EVENTS} are accepted.",
            ),
        ]
        | UnsetType
    ) = UNSET
    event: (
        Annotated[
            str,
            Meta(
                description="Without `events`: the kind of the one event, with its other fields next to it."
            ),
        ]
        | UnsetType
    ) = UNSET
    app: AppSlug | None = None
    sent_at: (
        Annotated[
            msgspec.Raw,
            Meta(
                description="Time on the device's clock when it sends this. It corrects the times of events.",
                extra_json_schema={"type": ["string", "null"], "format": "date-time"},
            ),
        ]
        | UnsetType
    ) = UNSET


class RefusedEvent(Struct, kw_only=True):
    """An event that was not accepted."""

    index: Annotated[int, Meta(description="Position in the batch, from 0.")]
    event_id: str | None
    code: str
    message: str


class EventsAnswer(Struct, kw_only=True):
    """The number of accepted events, and the refused ones."""

    ok: bool
    taken: int
    refused: list[RefusedEvent]
    note: Annotated[str, Meta(description="Why accepted events are not counted, if they are not.")] | None = (
        None
    )
