"""Judging what devices report, before it is written down: what is taken, and what is refused with a sentence."""

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
MAX_SIGNATURE, MAX_TEXT = 200, 4_000
AHEAD = timedelta(minutes=5)
"""A clock may be so much ahead of ours."""

OLDEST = timedelta(days=30)
LONGEST_MS = 30 * 24 * 3600 * 1000


class Happened(Protocol):
    """One event as a device tells it. What it did not say is None."""

    event_id: str
    event: str
    version: str
    at: datetime | None
    duration_ms: int | None
    signature: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who reports. ``behind`` is how much its clock is behind ours: nothing where it did not say what it shows, and what is wrong with what
    it said where that can't be read. That spoils only what is told with a time."""

    app: App
    platform: Platform
    device_id: str
    behind: timedelta | Invalid
    versions: Mapping[str, int]

    @property
    def note(self) -> str | None:
        """Why nothing that is taken from it is counted; None where it is."""
        return (
            None
            if self.app.keeps_devices
            else f"{self.app.name} keeps nothing about single devices: reports are not counted."
        )


def sender(
    session: Session,
    *,
    app: str | None,
    platform: str,
    device_id: str,
    sent_at: datetime | Invalid | None,
    versions: Iterable[str],
    now: datetime,
) -> Sender:
    """The device, with those of these versions that exist. ``sent_at`` is the device's clock when it sent this. Raises `Invalid` or
    `NotFound` for what makes all of it useless."""
    found, on = apps.find(session, app), apps.find_platform(platform)
    if not device_id.strip():
        raise Invalid.about(
            "device_id", "missing_field", "expected the id that the device sends with its checks."
        )
    known = _existing(session, found, on, versions)
    return Sender(found, on, device_id, _behind(sent_at, now), known)


def judge(who: Sender, happened: Happened, *, now: datetime) -> EventReport:
    """The event as it will be counted. Raises `Invalid` or `NotFound` with what is wrong with it."""
    try:
        kind = EventKind(happened.event)
    except ValueError:
        names = ", ".join(EventKind)
        raise Invalid(
            "unknown_event",
            f"'{happened.event[:40]}' is not an event. Expected one of {names}.",
            field="event",
        ) from None
    if not happened.event_id.strip():
        raise Invalid.about(
            "event_id",
            "missing_field",
            "expected an id that the app made for this event, the same for repeats.",
        )
    version_id = who.versions.get(happened.version)
    if version_id is None:
        raise _unknown_version(who, happened.version)
    keeps_text = kind in WITH_TEXT
    return EventReport(
        app_id=who.app.id,
        platform=who.platform,
        device_id=who.device_id,
        event_id=happened.event_id.strip(),
        kind=kind,
        version_id=version_id,
        at=_moment(who, happened.at, now),
        received_at=now,
        duration_ms=duration(happened.duration_ms),
        signature=short(happened.signature, MAX_SIGNATURE) if keeps_text else None,
        text=short(happened.text, MAX_TEXT) if keeps_text else None,
    )


def judge_completion(who: Sender, from_version: str, to_version: str, *, now: datetime) -> CompletionReport:
    """A completed update as it will be counted. Raises `Invalid` or `NotFound`."""
    before, after = (
        _parsed(text, field) for text, field in ((from_version, "from_version"), (to_version, "to_version"))
    )
    if (before.name, before.build) == (after.name, after.build):
        raise Invalid.about("to_version", "same_version", "expected another version than from_version.")
    if to_version not in who.versions:
        raise _unknown_version(who, to_version)
    return CompletionReport(
        app_id=who.app.id,
        platform=who.platform,
        device_id=who.device_id,
        from_version=before.text,
        to_version=after.text,
        at=now,
    )


def _existing(session: Session, app: App, platform: Platform, versions: Iterable[str]) -> dict[str, int]:
    """Of the versions as devices name them the ids of those that were ever published: by build number, or the newest with that name."""
    parsed: dict[str, CurrentVersion] = {}
    for text in set(versions):
        try:
            parsed[text] = parse_current_version(text)
        except ValueError:
            continue
    codes = {each.build for each in parsed.values()} - {None}
    names = {each.text.removeprefix("v") for each in parsed.values() if each.build is None}
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
        text: by_name.get(each.text.removeprefix("v")) if each.build is None else by_code.get(each.build)
        for text, each in parsed.items()
    }
    return {text: version_id for text, version_id in found.items() if version_id is not None}


def _behind(sent_at: datetime | Invalid | None, now: datetime) -> timedelta | Invalid:
    if sent_at is None or isinstance(sent_at, Invalid):
        return sent_at or timedelta()
    try:
        return now - _aware(sent_at, "sent_at")
    except Invalid as error:
        return error


def _moment(who: Sender, at: datetime | None, now: datetime) -> datetime:
    """When it happened by our clock; never after it was received."""
    if at is None:
        return now
    if isinstance(who.behind, Invalid):
        raise who.behind
    try:
        corrected = _aware(at, "at") + who.behind
    except OverflowError:
        raise bad_time("at") from None
    if corrected > now + AHEAD:
        raise Invalid.about(
            "at",
            "event_in_the_future",
            "this moment is still to come. Send sent_at, what the device's clock shows, and it is corrected.",
        )
    if corrected < now - OLDEST:
        raise Invalid.about("at", "event_too_old", f"expected a moment within the last {OLDEST.days} days.")
    return min(corrected, now)


def _aware(at: datetime, field: str) -> datetime:
    if at.tzinfo is None:
        raise bad_time(field)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise bad_time(field) from None


def bad_time(field: str) -> Invalid:
    """The error for what is no time, or none that this world will see."""
    return Invalid.about(
        field, "invalid_field", "expected a time with its zone, for example 2026-03-01T12:00:00Z."
    )


def duration(milliseconds: int | None) -> int | None:
    """Raises `Invalid` for one that can't be."""
    if milliseconds is not None and not 0 <= milliseconds <= LONGEST_MS:
        raise Invalid.about("duration_ms", "bad_duration", f"expected 0 to {LONGEST_MS} milliseconds.")
    return milliseconds


def short(text: str | None, most: int) -> str | None:
    """Cut, and without blanks around it; nothing is None."""
    return (text or "").strip()[:most] or None


def _parsed(text: str, field: str) -> CurrentVersion:
    try:
        return parse_current_version(text)
    except ValueError as error:
        raise Invalid.about(field, "bad_version", f"{error}") from error


def _unknown_version(who: Sender, text: str) -> OtaError:
    _parsed(text, "version")
    return NotFound(
        "unknown_version", f"{who.app.name} has published no version {text[:60]} on {who.platform.label}."
    )
