"""Views of devices: rows as shapes, and as lines of the timeline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import session as cookie

from ota.db import MAX_ID
from ota.devices.timeline import Cursor, Moment, Story
from ota.errors import Invalid
from ota.models import Device, Event, Release, ReleaseDevice, UpdateCheck, UpdateCompletion
from ota.web.devices.shapes import DeviceAnswer, DeviceView, MomentView, WayView

LOOKED_UP = "device"
"""Key in the browser's session for the hash and the id of the device that was looked up last."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """A line of the timeline: a moment, or ``count`` checks with the same answer, the first at ``since``."""

    moment: Moment
    count: int
    since: datetime

    @property
    def kind(self) -> str:
        return {UpdateCheck: "check", Event: "event", UpdateCompletion: "completion"}[type(self.moment.row)]


def folded(moments: Sequence[Moment]) -> list[TimelineLine]:
    """Return the lines of a timeline. Successive checks with the same answer become one line."""
    lines: list[TimelineLine] = []
    for each in moments:
        last = lines[-1] if lines else None
        if last is not None and _is_alike(last.moment.row, each.row):
            lines[-1] = TimelineLine(last.moment, last.count + 1, each.at)
        else:
            lines.append(TimelineLine(each, 1, each.at))
    return lines


def cursor_text(after: Cursor | None) -> str | None:
    """Return a cursor as text: microseconds since 1970, and the id of the row."""
    return after and f"{(after[0] - _EPOCH) // _MICROSECOND}-{after[1]}"


def cursor_of(text: str | None) -> Cursor | None:
    """Parse a text made by `cursor_text`. Raises `Invalid` (``bad_cursor``)."""
    if not text:
        return None
    found = re.fullmatch(r"([0-9]{1,17})-([0-9]{1,10})", text, re.ASCII)
    if found is None:
        raise Invalid.about("after", "bad_cursor", "expected `next` of the page before, as it was answered.")
    return _EPOCH + int(found[1]) * _MICROSECOND, min(int(found[2]), MAX_ID)


def device_view(device: Device) -> DeviceView:
    return DeviceView(
        device_hash=device.device_hash,
        platform=device.platform,
        app_version=device.app_version,
        version_code=device.version_code,
        sdk=device.sdk,
        os_version=device.os_version,
        abis=device.abis.split(",") if device.abis else [],
        first_seen_at=device.first_seen_at,
        last_seen_at=device.last_seen_at,
    )


def story_answer(found: Story) -> DeviceAnswer:
    device = found.device
    message = f"It runs {device.app_version}." if device else "It has not asked yet, or was forgotten."
    return DeviceAnswer(
        device_hash=found.device_hash,
        devices=[device_view(each) for each in found.devices],
        groups=[each.name for each in found.groups],
        releases=[_journey(journey, release) for journey, release in found.journeys],
        moments=[_moment(each) for each in found.moments],
        before=found.before,
        message=message,
    )


def looked_up(device_hash: str) -> str | None:
    """Return the id of the device if this browser looked it up last. The server itself keeps no ids."""
    known_hash, known_id = cookie.get(LOOKED_UP) or (None, None)
    return known_id if known_hash == device_hash else None


def _is_alike(one: object, other: object) -> bool:
    if not isinstance(one, UpdateCheck) or not isinstance(other, UpdateCheck):
        return False
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("current_version", "release_id", "reason", "channel_id", "platform")
    )


def _journey(journey: ReleaseDevice, release: Release) -> WayView:
    return WayView(
        release_id=release.id,
        version=release.version.version,
        version_code=release.version.version_code,
        channel=release.channel.name,
        is_control=journey.is_control,
        offered_at=journey.offered_at,
        downloaded_at=journey.downloaded_at,
        installed_at=journey.installed_at,
        healthy_at=journey.healthy_at,
        failed_at=journey.failed_at,
        failure=journey.failure,
        left_at=journey.left_at,
    )


def _moment(found: Moment) -> MomentView:
    row = found.row
    if isinstance(row, UpdateCheck):
        return MomentView(
            at=found.at,
            what="check",
            version=row.current_version,
            offered=row.offered_version,
            reason=row.reason,
            release_id=row.release_id,
        )
    if isinstance(row, UpdateCompletion):
        return MomentView(
            at=found.at,
            what="completion",
            version=row.from_version,
            to_version=row.to_version,
            is_inferred=row.is_inferred,
        )
    return MomentView(
        at=found.at,
        what=row.kind,
        version=f"{found.version.version}+{found.version.version_code}" if found.version else None,
        event_id=row.event_id,
        release_id=row.release_id,
        signature=found.signature.signature if found.signature else None,
        duration_ms=row.duration_ms,
    )
