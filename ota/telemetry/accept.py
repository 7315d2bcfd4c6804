"""Decide whether a report from a device is accepted, before it is written to the journal.

`find_sender` resolves the app and the versions of a request. `judge` and `judge_completion` turn one report
into the record that is counted, or raise the error that the device reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ota.apps import apps
from ota.core.platforms import Platform
from ota.core.telemetry import WITH_TEXT, EventKind
from ota.core.versions import CurrentVersion, parse_current_version
from ota.errors import Invalid, NotFound, OtaError
from ota.models import App, Version
from ota.telemetry.records import CompletionReport, EventReport

MAX_EVENTS = 500
"""Events accepted from one batch."""

MAX_SIGNATURE, MAX_TEXT = 200, 4_000
"""Characters kept of a failure's signature and text."""

MAX_DURATION_MS = 30 * 24 * 3600 * 1000

_CLOCK_SKEW = timedelta(minutes=5)
"""Tolerated clock skew."""

_MAX_AGE = timedelta(days=30)
"""Events that happened longer ago are refused."""


class ReportedEvent(Protocol):
    """One event as the device sent it. Fields that the device left out are None."""

    event_id: str
    event: str
    version: str
    at: datetime | None
    duration_ms: int | None
    signature: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class ReportSender:
    """The device that sends reports, and the ids of the versions that it names.

    ``behind`` is the time by which its clock is behind the server's; zero if it did not send its clock. If
    its clock can't be read, ``behind`` is the error, which is raised for events with a time and ignored for
    the others.
    """

    app: App
    platform: Platform
    device_id: str
    behind: timedelta | Invalid
    versions: Mapping[str, int]

    @property
    def note(self) -> str | None:
        """Why accepted reports of this device are not counted; None if they are counted."""
        return (
            None
            if self.app.keeps_devices
            else f"{self.app.name} keeps nothing about single devices: reports are not counted."
        )


def find_sender(
    session: Session,
    *,
    app: str | None,
    platform: str,
    device_id: str,
    sent_at: datetime | Invalid | None,
    versions: Iterable[str],
    now: datetime,
) -> ReportSender:
    """Return the device with those of the named versions that exist. ``sent_at`` is the device's clock at
    sending.

    Raises `Invalid` or `NotFound` for errors that make the whole request useless.
    """
    found, on = apps.find(session, app), apps.find_platform(platform)
    if not device_id.strip():
        raise Invalid.about(
            "device_id", "missing_field", "expected the id that the device sends with its checks."
        )
    ids = _published_ids(session, found, on, versions)
    return ReportSender(found, on, device_id, _behind(sent_at, now), ids)


def judge(sender: ReportSender, event: ReportedEvent, *, now: datetime) -> EventReport:
    """Return the event as it will be counted. Raises `Invalid` or `NotFound` if it is refused."""
    kind = _kind(event.event)
    if not event.event_id.strip():
        raise Invalid.about(
            "event_id",
            "missing_field",
            "expected an id that the app made for this event, the same for repeats.",
        )
    version_id = sender.versions.get(event.version)
    if version_id is None:
        raise _unknown_version(sender, event.version)
    keeps_text = kind in WITH_TEXT
    return EventReport(
        app_id=sender.app.id,
        platform=sender.platform,
        device_id=sender.device_id,
        event_id=event.event_id.strip(),
        kind=kind,
        version_id=version_id,
        at=_server_time(sender, event.at, now),
        received_at=now,
        duration_ms=checked_duration(event.duration_ms),
        signature=shortened(event.signature, MAX_SIGNATURE) if keeps_text else None,
        text=shortened(event.text, MAX_TEXT) if keeps_text else None,
    )


def judge_completion(
    sender: ReportSender, from_version: str, to_version: str, *, now: datetime
) -> CompletionReport:
    """Return the completed update as it will be counted. Raises `Invalid` or `NotFound` if it is refused."""
    before, after = _parsed(from_version, "from_version"), _parsed(to_version, "to_version")
    if (before.name, before.build) == (after.name, after.build):
        raise Invalid.about("to_version", "same_version", "expected another version than from_version.")
    if to_version not in sender.versions:
        raise _unknown_version(sender, to_version)
    return CompletionReport(
        app_id=sender.app.id,
        platform=sender.platform,
        device_id=sender.device_id,
        from_version=before.text,
        to_version=after.text,
        at=now,
    )


def bad_time(field: str) -> Invalid:
    """Return the error for a value that is not a time, or not one that can be represented."""
    return Invalid.about(
        field, "invalid_field", "expected a time with its zone, for example 2026-03-01T12:00:00Z."
    )


def checked_duration(milliseconds: int | None) -> int | None:
    """Return the duration unchanged. Raises `Invalid` if it is out of range."""
    if milliseconds is not None and not 0 <= milliseconds <= MAX_DURATION_MS:
        raise Invalid.about("duration_ms", "bad_duration", f"expected 0 to {MAX_DURATION_MS} milliseconds.")
    return milliseconds


def shortened(text: str | None, length: int) -> str | None:
    """Strip the text and cut it to ``length`` characters. Return None for an empty one."""
    return (text or "").strip()[:length] or None


def _kind(name: str) -> EventKind:
    try:
        return EventKind(name)
    except ValueError:
        raise Invalid(
            "unknown_event",
            f"'{name[:40]}' is not an event. Expected one of {', '.join(EventKind)}.",
            field="event",
        ) from None


def _published_ids(session: Session, app: App, platform: Platform, versions: Iterable[str]) -> dict[str, int]:
    """Map texts that name a version to its id: by build number, else the newest version with that name.

    Versions that were never published are left out, and so are texts that name none.
    """
    parsed = _parseable(versions)
    codes = {each.build for each in parsed.values()} - {None}
    names = {_name(each) for each in parsed.values() if each.build is None}
    query = select(Version.id, Version.version, Version.version_code).where(
        Version.app_id == app.id, Version.platform == platform
    )
    query = query.where(or_(Version.published_at.is_not(None), Version.releases.any()))
    query = query.where(or_(Version.version_code.in_(codes), Version.version.in_(names))).order_by(
        Version.version_code
    )
    rows: Sequence[Any] = session.execute(query).all() if parsed else ()
    by_code, by_name = {row.version_code: row.id for row in rows}, {row.version: row.id for row in rows}
    found = {
        text: by_name.get(_name(each)) if each.build is None else by_code.get(each.build)
        for text, each in parsed.items()
    }
    return {text: version_id for text, version_id in found.items() if version_id is not None}


def _parseable(versions: Iterable[str]) -> dict[str, CurrentVersion]:
    parsed: dict[str, CurrentVersion] = {}
    for text in set(versions):
        try:
            parsed[text] = parse_current_version(text)
        except ValueError:
            continue
    return parsed


def _name(version: CurrentVersion) -> str:
    return version.text.removeprefix("v")


def _behind(sent_at: datetime | Invalid | None, now: datetime) -> timedelta | Invalid:
    if sent_at is None or isinstance(sent_at, Invalid):
        return sent_at or timedelta()
    try:
        return now - _utc(sent_at, "sent_at")
    except Invalid as error:
        return error


def _server_time(sender: ReportSender, at: datetime | None, now: datetime) -> datetime:
    """When the event happened by the server's clock, at most ``now``."""
    if at is None:
        return now
    if isinstance(sender.behind, Invalid):
        raise sender.behind
    try:
        corrected = _utc(at, "at") + sender.behind
    except OverflowError:
        raise bad_time("at") from None
    if corrected > now + _CLOCK_SKEW:
        raise Invalid.about(
            "at",
            "event_in_the_future",
            "this moment is still to come. Send sent_at, what the device's clock shows, and it is corrected.",
        )
    if corrected < now - _MAX_AGE:
        raise Invalid.about("at", "event_too_old", f"expected a moment within the last {_MAX_AGE.days} days.")
    return min(corrected, now)


def _utc(at: datetime, field: str) -> datetime:
    if at.tzinfo is None:
        raise bad_time(field)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise bad_time(field) from None


def _parsed(text: str, field: str) -> CurrentVersion:
    try:
        return parse_current_version(text)
    except ValueError as error:
        raise Invalid.about(field, "bad_version", f"{error}") from error


def _unknown_version(sender: ReportSender, text: str) -> OtaError:
    _parsed(text, "version")
    return NotFound(
        "unknown_version",
        f"{sender.app.name} has published no version {text[:60]} on {sender.platform.label}.",
    )
