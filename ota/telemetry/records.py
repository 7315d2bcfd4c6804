"""The format of the journal's records: encoded by web processes, decoded by the drain.

Later versions of this program read records of earlier ones: a new field needs a default, and a letter that
marks a kind of record is never used again for another kind.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec import Struct

_CHECK, _EVENT, _COMPLETION, _LATE = b"C", b"E", b"D", b"L"
_AT = struct.Struct("<Q")
_ANSWER = struct.Struct("<ii")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNREADABLE = (msgspec.MsgspecError, struct.error, ValueError, OverflowError, RecursionError)


class CheckBody(Struct):
    """The fields of a check's body that are counted. The body was valid when it was answered."""

    platform: str
    current_version: str
    device_id: str | None = None
    sdk: int | None = None
    os_version: str | None = None
    abis: list[str] | None = None


class CheckReport(NamedTuple):
    """A check and its answer. ``release_id`` is the offered release."""

    at: datetime
    channel_id: int
    release_id: int | None
    reason: str
    body: CheckBody


class EventReport(Struct, kw_only=True):
    """An accepted event. ``version_id`` is the version that it happened with; times are UTC."""

    app_id: int
    platform: str
    device_id: str
    event_id: str
    kind: str
    version_id: int
    at: datetime
    received_at: datetime
    duration_ms: int | None = None
    signature: str | None = None
    text: str | None = None


class CompletionReport(Struct, kw_only=True):
    """A device reported that it went from one version to another."""

    app_id: int
    platform: str
    device_id: str
    from_version: str
    to_version: str
    at: datetime


class _Received(Struct):
    """The time of a report of any kind."""

    received_at: datetime | None = None
    at: datetime | None = None


class LateEvent(Struct, kw_only=True):
    """An event as the device sent it."""

    event_id: str
    event: str
    version: str
    at: datetime | None = None
    duration_ms: int | None = None
    signature: str | None = None
    text: str | None = None


class LateReport(Struct, kw_only=True):
    """An event or a completion accepted while the database was away, to be judged when it is counted."""

    platform: str
    device_id: str
    received_at: datetime
    app: str | None = None
    sent_at: datetime | None = None
    event: LateEvent | None = None
    from_version: str = ""
    to_version: str = ""


Record = CheckReport | EventReport | CompletionReport | LateReport

_decode_body = msgspec.json.Decoder(CheckBody).decode
_decode_event = msgspec.json.Decoder(EventReport).decode
_decode_completion = msgspec.json.Decoder(CompletionReport).decode
_decode_late = msgspec.json.Decoder(LateReport).decode
_decode_received = msgspec.json.Decoder(_Received).decode
_encode = msgspec.json.Encoder().encode


def answer_mark(channel_id: int, release_id: int | None, reason: str) -> bytes:
    """Return the part that the records of all checks with the same answer share."""
    return _ANSWER.pack(channel_id, release_id or 0) + reason.encode() + b"\n"


def check(raw: bytes, mark: bytes, at: datetime) -> bytes:
    """Return the record of a check with this body. ``mark`` comes from `answer_mark`."""
    return _CHECK + _AT.pack((at - _EPOCH) // _MICROSECOND) + mark + raw


def event(report: EventReport) -> bytes:
    """Return the record of an event."""
    return _EVENT + _encode(report)


def completion(report: CompletionReport) -> bytes:
    """Return the record of a completion."""
    return _COMPLETION + _encode(report)


def late(report: LateReport) -> bytes:
    """Return the record of a late report."""
    return _LATE + _encode(report)


def read(record: bytes) -> Record | None:
    """Decode a record. Return None for an unreadable one, so that it does not stop the counting of others."""
    kind, rest = record[:1], record[1:]
    try:
        if kind == _CHECK:
            return _read_check(rest)
        if kind == _EVENT:
            return _decode_event(rest)
        if kind == _COMPLETION:
            return _decode_completion(rest)
        if kind == _LATE:
            return _decode_late(rest)
    except _UNREADABLE:
        return None
    return None


def moment(record: bytes) -> tuple[datetime, bool]:
    """Return when a record was received, and whether it is a report. Records are counted in this order.

    At the same moment checks come before reports. An unreadable record is as old as possible.
    """
    try:
        if record[:1] == _CHECK:
            return _EPOCH + timedelta(microseconds=_AT.unpack_from(record, 1)[0]), False
        found = _decode_received(record[1:])
        return (found.received_at or found.at or _EPOCH).astimezone(UTC), True
    except _UNREADABLE:
        return _EPOCH, False


def _read_check(rest: bytes) -> CheckReport:
    start = _AT.size + _ANSWER.size
    end = rest.index(b"\n", start)
    channel_id, release_id = _ANSWER.unpack_from(rest, _AT.size)
    at = _EPOCH + timedelta(microseconds=_AT.unpack_from(rest)[0])
    reason, body = rest[start:end].decode(), _decode_body(rest[end + 1 :])
    return CheckReport(at, channel_id, release_id or None, reason, body)
