"""Decode a batch of events leniently: an error in one event concerns that event alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from ota.errors import Invalid, OtaError
from ota.telemetry import accept
from ota.web.operation import MALFORMED, decode, refuse_nul
from ota.web.telemetry.broken_json import repaired
from ota.web.telemetry.shapes import EventItem, EventsRequest

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decoded(raw: bytes) -> tuple[EventsRequest, Sequence[Raw]]:
    """Return the batch and its events, still undecoded. Raises `Invalid` for a body without events."""
    found, raw = _decoded(raw, EventsRequest)
    body: EventsRequest = found
    refuse_nul(body.device_id, body.platform, body.app)
    return body, _events(body, raw)


def item(raw: Raw) -> EventItem | OtaError:
    """Decode one event. Return the error of an unreadable one."""
    try:
        found: EventItem = _decoded(bytes(raw), EventItem)[0]
        refuse_nul(found.event_id, found.event, found.version)
    except OtaError as error:
        return error
    found.signature, found.text = (text and text.replace("\0", "") for text in (found.signature, found.text))
    return found


def sent_at(body: EventsRequest) -> datetime | Invalid | None:
    """Return the time on the device's clock, or the error of an unreadable one for events with a time."""
    try:
        return None if body.sent_at is UNSET else msgspec.json.decode(body.sent_at, type=datetime | None)
    except _UNREADABLE:
        return accept.bad_time("sent_at")


def event_id(raw: Raw) -> str | None:
    """Return the event's id, if it is readable."""
    try:
        found = msgspec.json.decode(raw)
    except _UNREADABLE:
        return None
    found_id = found.get("event_id") if isinstance(found, dict) else None
    return found_id[:64] if isinstance(found_id, str) else None


def _decoded(raw: bytes, shape: type[msgspec.Struct]) -> tuple[Any, bytes]:
    """The decoded shape, and the bytes that it was decoded from: repaired ones if the body was not JSON."""
    try:
        return decode(raw, shape, may_have_nul=True), raw
    except Invalid as error:
        if error.code != MALFORMED:
            raise
    raw = repaired(raw)
    return decode(raw, shape, may_have_nul=True), raw


def _events(body: EventsRequest, raw: bytes) -> Sequence[Raw]:
    """The events of the list, or the body itself as the only one. Raises `Invalid` for neither or both."""
    if body.events is not UNSET and body.event is not UNSET:
        raise Invalid.about(
            "event", "invalid_field", "expected either events or the fields of one event, not both."
        )
    if body.events is not UNSET:
        return body.events
    if body.event is UNSET:
        raise Invalid.about(
            "events", "missing_field", "this field is missing. Send a list of events, or the fields of one."
        )
    return [Raw(raw)]
