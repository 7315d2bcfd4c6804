"""Reports that were taken while the database was away: judged when they are counted, as they would have been then."""

from __future__ import annotations

import logging

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ota.errors import OtaError
from ota.telemetry import accept
from ota.telemetry.records import CompletionReport, EventReport, LateEvent, LateReport, Record

log = logging.getLogger(__name__)


def judged(session: Session, record: Record | None) -> Record | None:
    """The report that a late one has become; other records stay as they are. A late one that is refused stays a `LateReport`, which
    nothing counts: nobody is there any more to be told why. Only what the database raises is raised."""
    if not isinstance(record, LateReport):
        return record
    try:
        return _judge(session, record)
    except OtaError as error:
        log.info("a report that was taken while the database was away is not counted: %s", error.message)
    except SQLAlchemyError:
        raise
    except Exception:  # A mistake of ours: the door would have answered that it failed.
        log.exception("a report that was taken while the database was away is not counted")
    return record


def shortened(event: LateEvent) -> LateEvent:
    """Without what would be cut off anyway: the journal has little room for one record. Raises `Invalid` for what it can't hold."""
    event.duration_ms = accept.duration(event.duration_ms)
    event.signature = accept.short(event.signature, accept.MAX_SIGNATURE)
    event.text = accept.short(event.text, accept.MAX_TEXT)
    return event


def _judge(session: Session, late: LateReport) -> EventReport | CompletionReport:
    version = late.to_version if late.event is None else late.event.version
    who = accept.sender(
        session,
        app=late.app,
        platform=late.platform,
        device_id=late.device_id,
        sent_at=late.sent_at,
        versions=[version],
        now=late.received_at,
    )
    if late.event is None:
        return accept.judge_completion(who, late.from_version, late.to_version, now=late.received_at)
    return accept.judge(who, late.event, now=late.received_at)
