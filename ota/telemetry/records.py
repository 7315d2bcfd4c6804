"""What is written into the journal for each kind of report, and read out of it again.

A record is read by a later version of this program too: a field that is new has a default, and the letters are not used again.
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


class CheckSaid(Struct):
    """What is counted of a check's body, which was valid when it was answered."""

    platform: str
    current_version: str
    device_id: str | None = None
    sdk: int | None = None
    os_version: str | None = None
    abis: list[str] | None = None


class Check(NamedTuple):
    """A check and its answer. ``release_id`` is what was offered."""

    at: datetime
    channel_id: int
    release_id: int | None
    reason: str
    said: CheckSaid


class EventReport(Struct, kw_only=True):
    """One event that was taken. ``version_id`` is the version that it happened with; times are UTC."""

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
    """A device said that it went from one version to another."""

    app_id: int
    platform: str
    device_id: str
    from_version: str
    to_version: str
    at: datetime


class _Received(Struct):
    """The moment of a report, of whatever kind."""

    received_at: datetime | None = None
    at: datetime | None = None


class LateEvent(Struct, kw_only=True):
    """An event as the device told it."""

    event_id: str
    event: str
    version: str
    at: datetime | None = None
    duration_ms: int | None = None
    signature: str | None = None
    text: str | None = None


class LateReport(Struct, kw_only=True):
    """A report that was taken while the database was away, to be judged when it is counted: an event, or a completion."""

    platform: str
    device_id: str
    received_at: datetime
    app: str | None = None
    sent_at: datetime | None = None
    event: LateEvent | None = None
    from_version: str = ""
    to_version: str = ""


Record = Check | EventReport | CompletionReport | LateReport

_said = msgspec.json.Decoder(CheckSaid)
_event = msgspec.json.Decoder(EventReport)
_completion = msgspec.json.Decoder(CompletionReport)
_late = msgspec.json.Decoder(LateReport)
_received = msgspec.json.Decoder(_Received)
_encode = msgspec.json.Encoder().encode


def answer_mark(channel_id: int, release_id: int | None, reason: str) -> bytes:
    """What is the same in the records of all checks that got this answer."""
    return _ANSWER.pack(channel_id, release_id or 0) + reason.encode() + b"\n"


def check(raw: bytes, mark: bytes, at: datetime) -> bytes:
    """The record of a check with this body, answered with what ``mark`` was made for."""
    return _CHECK + _AT.pack((at - _EPOCH) // _MICROSECOND) + mark + raw


def event(report: EventReport) -> bytes:
    return _EVENT + _encode(report)


def completion(report: CompletionReport) -> bytes:
    return _COMPLETION + _encode(report)


def late(report: LateReport) -> bytes:
    return _LATE + _encode(report)


def read(record: bytes) -> Record | None:
    """The record. None for what can't be read: it must not keep the others from being counted."""
    kind, rest = record[:1], record[1:]
    try:
        if kind == _CHECK:
            return _read_check(rest)
        if kind == _EVENT:
            return _event.decode(rest)
        if kind == _COMPLETION:
            return _completion.decode(rest)
        if kind == _LATE:
            return _late.decode(rest)
    except (msgspec.MsgspecError, struct.error, ValueError, OverflowError, RecursionError):
        return None
    return None


def moment(record: bytes) -> tuple[datetime, bool]:
    """When the server got it, and is it a report of a device: at the same moment checks come first. For putting records in order; one that
    can't be read is as old as can be."""
    try:
        if record[:1] == _CHECK:
            return _EPOCH + timedelta(microseconds=_AT.unpack_from(record, 1)[0]), False
        found = _received.decode(record[1:])
        return (found.received_at or found.at or _EPOCH).astimezone(UTC), True
    except (msgspec.MsgspecError, struct.error, ValueError, OverflowError, RecursionError):
        return _EPOCH, False


def _read_check(rest: bytes) -> Check:
    start = _AT.size + _ANSWER.size
    end = rest.index(b"\n", start)
    channel_id, release_id = _ANSWER.unpack_from(rest, _AT.size)
    at = _EPOCH + timedelta(microseconds=_AT.unpack_from(rest)[0])
    return Check(at, channel_id, release_id or None, rest[start:end].decode(), _said.decode(rest[end + 1 :]))
