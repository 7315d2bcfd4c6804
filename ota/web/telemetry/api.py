"""Reports from devices: open to all, written to the journal, counted later.

`ota.telemetry.accept` decides which reports are accepted. While the database is away all of them are
accepted, and judged when they are counted (`ota.telemetry.late_reports`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from flask import Blueprint, request
from msgspec import Raw, convert

from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import AWAY, first_line, reader
from ota.errors import Invalid, OtaError
from ota.telemetry import accept, late_reports, records
from ota.telemetry.accept import MAX_EVENTS, ReportSender
from ota.telemetry.records import LateEvent, LateReport
from ota.web.journal import reports
from ota.web.limits import report_limits
from ota.web.operation import DEVICES, Operation, operation
from ota.web.telemetry import batches
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
"""A full batch with the longest texts takes 2.3 MB in ASCII; other characters can be escaped."""

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
    sender = _sender(body, sent_at=None, versions=[body.to_version], now=now)
    if sender is None:
        _complete_later(body)
        return CompleteAnswer(ok=True, message="It is noted, and looked at when the database answers again.")
    report = accept.judge_completion(sender, body.from_version, body.to_version, now=now)
    if sender.note is None:
        reports().keep_or_fail(records.completion(report))
    return CompleteAnswer(ok=True, message=sender.note or f"{sender.app.name} {body.to_version} is noted.")


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
    """Each event is accepted or refused by itself: a broken event does not cost the valid ones."""
    now = utcnow()
    body, given = batches.decoded(raw)
    report_limits().note(request.remote_addr or "", min(len(given), MAX_EVENTS))
    items = [batches.item(each) for each in given[:MAX_EVENTS]]
    sent_at = batches.sent_at(body)
    versions = [each.version for each in items if isinstance(each, EventItem)]
    sender = _sender(body, sent_at=sent_at, versions=versions, now=now)
    errors = {index: _keep(sender, body, item, sent_at) for index, item in enumerate(items)}
    refused = [_refused(index, given[index], error) for index, error in errors.items() if error]
    note = None if sender is None else sender.note
    return EventsAnswer(
        ok=True, taken=len(items) - len(refused), refused=[*refused, *_beyond(given)], note=note
    )


def _sender(
    body: CompleteRequest | EventsRequest,
    *,
    sent_at: datetime | Invalid | None,
    versions: Iterable[str],
    now: datetime,
) -> ReportSender | None:
    """The device that reports; None while the database is away."""
    try:
        return accept.find_sender(
            reader(),
            app=body.app,
            platform=body.platform,
            device_id=body.device_id,
            sent_at=sent_at,
            versions=versions,
            now=now,
        )
    except AWAY as error:
        log.warning("reports are judged later: the database does not answer: %s", first_line(error))
        return None


def _keep(
    sender: ReportSender | None,
    body: EventsRequest,
    item: EventItem | OtaError,
    sent_at: datetime | Invalid | None,
) -> OtaError | None:
    """Write an accepted event to the journal. Return the error of a refused one."""
    if isinstance(item, OtaError):
        return item
    try:
        if sender is None:
            _keep_for_later(body, item, sent_at)
        else:
            _keep_judged(sender, item)
    except OtaError as error:
        return error
    return None


def _keep_judged(sender: ReportSender, item: EventItem) -> None:
    report = accept.judge(sender, item, now=utcnow())
    if sender.note is None:
        reports().keep_or_fail(records.event(report))


def _keep_for_later(body: EventsRequest, item: EventItem, sent_at: datetime | Invalid | None) -> None:
    """Keep an event while the database is away, so that the device need not keep it."""
    if isinstance(sent_at, Invalid):
        if item.at is not None:
            raise sent_at
        sent_at = None
    report = _late_report(body)
    report.sent_at = sent_at
    report.event = late_reports.shortened(convert(item, LateEvent, from_attributes=True))
    reports().keep_or_fail(records.late(report))


def _complete_later(body: CompleteRequest) -> None:
    late = _late_report(body)
    late.from_version, late.to_version = body.from_version, body.to_version
    reports().keep_or_fail(records.late(late))


def _late_report(body: CompleteRequest | EventsRequest) -> LateReport:
    return LateReport(platform=body.platform, device_id=body.device_id, received_at=utcnow(), app=body.app)


def _refused(index: int, raw: Raw, error: OtaError) -> RefusedEvent:
    return RefusedEvent(index=index, event_id=batches.event_id(raw), code=error.code, message=error.message)


def _beyond(given: Sequence[Raw]) -> list[RefusedEvent]:
    error = Invalid(
        "batch_too_large", f"A batch holds at most {MAX_EVENTS} events. Send the rest in another one."
    )
    return [_refused(index, given[index], error) for index in range(MAX_EVENTS, len(given))]
