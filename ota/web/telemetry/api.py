"""What devices report: open to everybody, written down and counted later."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from flask import Blueprint, request
from msgspec import UNSET, convert

from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import AWAY, first_line, reader
from ota.errors import Invalid, OtaError
from ota.telemetry import accept, late_reports, records
from ota.telemetry.accept import MAX_EVENTS, Sender
from ota.telemetry.records import LateEvent, LateReport
from ota.web.journal import reports
from ota.web.limits import report_limits
from ota.web.operation import DEVICES, MALFORMED, Operation, decode, operation, refuse_nul
from ota.web.telemetry.broken_json import mended
from ota.web.telemetry.shapes import (
    CompleteAnswer,
    CompleteRequest,
    EventItem,
    EventsAnswer,
    EventsRequest,
    RefusedEvent,
)

log = logging.getLogger(__name__)

MAX_BATCH_BYTES = 4 * 1024**2
"""As many events as a batch may have, each with the longest text, take 2.3 MB in ASCII; what is not ASCII may be escaped."""

blueprint = Blueprint("telemetry_api", __name__)


@blueprint.post("/api/updates/complete")
@operation(
    Operation(
        access=Access.PUBLIC,
        summary="Report a completed update",
        tag=DEVICES,
        body=CompleteRequest,
        answer=CompleteAnswer,
        status=202,
    )
)
def complete(body: CompleteRequest) -> CompleteAnswer:
    """The device runs ``to_version`` now."""
    now = utcnow()
    report_limits().note(request.remote_addr or "", 1)
    versions = [body.to_version]
    try:
        who = accept.sender(
            reader(),
            app=body.app,
            platform=body.platform,
            device_id=body.device_id,
            sent_at=None,
            versions=versions,
            now=now,
        )
    except AWAY as error:
        return _complete_later(body, error)
    report = accept.judge_completion(who, body.from_version, body.to_version, now=now)
    if who.note is None:
        reports().keep_or_fail(records.completion(report))
    return CompleteAnswer(ok=True, message=who.note or f"{who.app.name} {body.to_version} is noted.")


@blueprint.post("/api/updates/events")
@operation(
    Operation(
        access=Access.PUBLIC,
        summary="Report what happened",
        tag=DEVICES,
        body=EventsRequest,
        parts=(EventItem,),
        answer=EventsAnswer,
        status=202,
        is_raw=True,
        most_bytes=MAX_BATCH_BYTES,
        when_too_large=f"Send fewer events at once: at most {MAX_EVENTS}, and {MAX_BATCH_BYTES} bytes.",
    )
)
def events(raw: bytes) -> EventsAnswer:
    """Each event is taken or refused by itself; nothing valid is lost because of its neighbour."""
    now = utcnow()
    body, raw = _decoded(raw, EventsRequest)
    refuse_nul(body.device_id, body.platform, body.app)
    given = _given(body, raw)
    report_limits().note(request.remote_addr or "", min(len(given), MAX_EVENTS))
    items = [_read(each) for each in given[:MAX_EVENTS]]
    versions = [each.version for each in items if isinstance(each, EventItem)]
    sent_at = _sent_at(body)
    who: Sender | None = None
    try:
        who = accept.sender(
            reader(),
            app=body.app,
            platform=body.platform,
            device_id=body.device_id,
            sent_at=sent_at,
            versions=versions,
            now=now,
        )
    except AWAY as error:
        _say_late(error)
    taken, refused = 0, []
    for index, item in enumerate(items):
        try:
            if isinstance(item, OtaError):
                raise item
            _take_later(body, item, sent_at) if who is None else _take(who, item)
            taken += 1
        except OtaError as error:
            refused.append(_refused(index, given[index], error))
    return EventsAnswer(
        ok=True, taken=taken, refused=[*refused, *_beyond(given)], note=None if who is None else who.note
    )


def _decoded(raw: bytes, shape: type[msgspec.Struct]) -> tuple[Any, bytes]:
    """The shape, and the bytes that it was read from: mended where they are no JSON because of one text in them."""
    try:
        return decode(raw, shape, may_have_nul=True), raw
    except Invalid as error:
        if error.code != MALFORMED:
            raise
    raw = mended(raw)
    return decode(raw, shape, may_have_nul=True), raw


def _given(body: EventsRequest, raw: bytes) -> Sequence[msgspec.Raw]:
    """The events, or the one that the body is. Raises `Invalid` for a body with neither, or with both."""
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
    return [msgspec.Raw(raw)]


def _sent_at(body: EventsRequest) -> datetime | Invalid | None:
    """What the device's clock shows. One that can't be read spoils only what is told with a time."""
    try:
        return None if body.sent_at is UNSET else msgspec.json.decode(body.sent_at, type=datetime | None)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return accept.bad_time("sent_at")


def _read(raw: msgspec.Raw) -> EventItem | OtaError:
    try:
        found: EventItem = _decoded(bytes(raw), EventItem)[0]
        refuse_nul(found.event_id, found.event, found.version)
    except OtaError as error:
        return error
    found.signature, found.text = (text and text.replace("\0", "") for text in (found.signature, found.text))
    return found


def _take(who: Sender, item: EventItem) -> None:
    report = accept.judge(who, item, now=utcnow())
    if who.note is None:
        reports().keep_or_fail(records.event(report))


def _take_later(body: EventsRequest, item: EventItem, sent_at: datetime | Invalid | None) -> None:
    """The device need not keep it while the database is away: it is judged when it is counted."""
    if isinstance(sent_at, Invalid):
        if item.at is not None:
            raise sent_at
        sent_at = None
    event = convert(item, LateEvent, from_attributes=True)
    report = LateReport(
        platform=body.platform, device_id=body.device_id, received_at=utcnow(), app=body.app, sent_at=sent_at
    )
    report.event = late_reports.shortened(event)
    reports().keep_or_fail(records.late(report))


def _complete_later(body: CompleteRequest, error: Exception) -> CompleteAnswer:
    _say_late(error)
    late = LateReport(platform=body.platform, device_id=body.device_id, received_at=utcnow(), app=body.app)
    late.from_version, late.to_version = body.from_version, body.to_version
    reports().keep_or_fail(records.late(late))
    return CompleteAnswer(ok=True, message="It is noted, and looked at when the database answers again.")


def _say_late(error: Exception) -> None:
    log.warning("reports are taken and judged later, the database does not answer: %s", first_line(error))


def _refused(index: int, raw: msgspec.Raw, error: OtaError) -> RefusedEvent:
    return RefusedEvent(index=index, event_id=_event_id(raw), code=error.code, message=error.message)


def _beyond(given: Sequence[msgspec.Raw]) -> list[RefusedEvent]:
    error = Invalid(
        "batch_too_large", f"A batch holds at most {MAX_EVENTS} events. Send the rest in another one."
    )
    return [_refused(index, given[index], error) for index in range(MAX_EVENTS, len(given))]


def _event_id(raw: msgspec.Raw) -> str | None:
    """What the device calls it, as far as that can be read."""
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    event_id = found.get("event_id") if isinstance(found, dict) else None
    return event_id[:64] if isinstance(event_id, str) else None
