"""Reports accepted while the database was away: judged by the same rules when they are counted."""

from __future__ import annotations

import logging

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ota.errors import OtaError
from ota.telemetry import accept
from ota.telemetry.records import CompletionReport, EventReport, LateEvent, LateReport, Record

log = logging.getLogger(__name__)


def judged(session: Session, record: Record | None) -> Record | None:
    """Turn a late report into the report that is counted; return other records unchanged.

    A refused late report is returned as it is, and nothing counts a `LateReport`: its device no longer waits
    for an answer. Only errors of the database are raised.
    """
    if not isinstance(record, LateReport):
        return record
    try:
        return _judge(session, record)
    except OtaError as error:
        log.info("a report accepted while the database was away is not counted: %s", error.message)
    except SQLAlchemyError:
        raise
    except Exception:  # A bug of this server. At the door the answer would have been 500.
        log.exception("a report accepted while the database was away is not counted")
    return record


def shortened(event: LateEvent) -> LateEvent:
    """Cut the event's texts as `accept.judge` does later: a record of the journal is small.

    Raises `Invalid` for a duration that the journal can't hold.
    """
    event.duration_ms = accept.checked_duration(event.duration_ms)
    event.signature = accept.shortened(event.signature, accept.MAX_SIGNATURE)
    event.text = accept.shortened(event.text, accept.MAX_TEXT)
    return event


def _judge(session: Session, late: LateReport) -> EventReport | CompletionReport:
    sender = accept.find_sender(
        session,
        app=late.app,
        platform=late.platform,
        device_id=late.device_id,
        sent_at=late.sent_at,
        versions=[late.to_version if late.event is None else late.event.version],
        now=late.received_at,
    )
    if late.event is None:
        return accept.judge_completion(sender, late.from_version, late.to_version, now=late.received_at)
    return accept.judge(sender, late.event, now=late.received_at)
