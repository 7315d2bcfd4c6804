"""Each device's way with a release: offered, downloaded, installed, healthy or failed, and gone again. Each time is the first one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, CursorResult, and_, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from ota.core.platforms import Platform
from ota.core.telemetry import EventKind, Stage
from ota.models import Release, ReleaseDevice, UpdateCompletion, Version
from ota.services.tallies import Tallies, insert

Offered = tuple[int | None, str, int, datetime]
"""The release, the device, the version code that was offered, and when."""


class Completion(NamedTuple):
    """A device went from one version to another. ``code`` is the build that it runs now, None where it did not say."""

    app_id: int
    platform: Platform
    device: str
    from_version: str
    to_version: str
    code: int | None
    at: datetime


def offer(session: Session, tallies: Tallies, offers: Iterable[Offered]) -> None:
    """Note who was offered a release. Who is let in is no control any more."""
    first: dict[tuple[int, str], tuple[int, datetime]] = {}
    for release_id, device, code, at in offers:
        if release_id is not None:
            first.setdefault((release_id, device), (code, at))
            tallies.stage(release_id, Stage.OFFERED, at, events=1)
    rows = [
        {"release_id": release_id, "device_id": device, "is_control": False, "version_code": code, "offered_at": at}
        for (release_id, device), (code, at) in sorted(first.items())
    ]
    new = _insert_new(session, rows)
    for release_id, device in new:
        tallies.stage(release_id, Stage.OFFERED, first[release_id, device][1], devices=1)
    _end_controls(session, {key: first[key][1] for key in new})


def enrol_controls(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Add devices to the control of a release; those that are in it stay as they are."""
    _insert_new(session, rows)


def follow(session: Session, tallies: Tallies, moved: Sequence[Completion], *, is_inferred: bool = True) -> None:
    """Devices run other versions than before: complete what they were offered, and end what they left."""
    ways = _ways(session, {each.device for each in moved}) if moved else {}
    done = []
    for each in moved:
        for way, app_id in ways.get(each.device, ()):
            if app_id != each.app_id or each.code is None:
                continue
            if way.version_code != each.code:
                _leave(session, way, each.at)
            elif way.offered_at is not None and way.offered_at <= each.at and reach(session, tallies, way, Stage.INSTALLED, each.at):
                done.append(each)
    _write_completions(session, done, is_inferred=is_inferred)


def complete(session: Session, tallies: Tallies, told: Sequence[Completion]) -> None:
    """Devices say that they have updated; counted once, also if a check has shown it."""
    follow(session, tallies, told, is_inferred=False)
    _write_completions(session, told, is_inferred=False)


def reach(session: Session, tallies: Tallies, way: ReleaseDevice, stage: Stage, at: datetime, failure: EventKind | None = None) -> bool:
    """The device has come that far. False when it had before: then nothing is counted."""
    column = f"{stage.value}_at"
    if getattr(way, column) is not None:
        return False
    values: dict[str, Any] = {column: at}
    if stage is Stage.INSTALLED or (stage is Stage.FAILED and way.enrolled_at is None):
        values["enrolled_at"] = at
    if failure is not None:
        values["failure"] = failure
    if not _execute(session, update(ReleaseDevice).where(*_key(way), getattr(ReleaseDevice, column).is_(None)).values(values)):
        return False
    for name, value in values.items():
        set_committed_value(way, name, value)
    if not way.is_control:
        tallies.stage(way.release_id, stage, at, devices=1)
    return True


def ways_of(session: Session, pairs: Iterable[tuple[str, int]]) -> dict[tuple[str, int], list[ReleaseDevice]]:
    """For devices and versions: the releases of the version that the device was offered, newest first, and those it is a control of
    while it runs the version."""
    wanted: dict[str, set[int]] = {}
    for device, version_id in pairs:
        wanted.setdefault(device, set()).add(version_id)
    ids = set[int]().union(*wanted.values())
    code_of = {row.id: row.version_code for row in session.execute(select(Version.id, Version.version_code).where(Version.id.in_(ids)))}
    query = (
        select(ReleaseDevice, Release.version_id).join(Release, Release.id == ReleaseDevice.release_id)
        .where(ReleaseDevice.device_id.in_(wanted)).order_by(ReleaseDevice.release_id.desc())
    )  # fmt: skip
    found: dict[tuple[str, int], list[ReleaseDevice]] = {}
    for way, released_id in session.execute(query):
        for version_id in wanted[way.device_id]:
            if way.version_code == code_of.get(version_id) if way.is_control else released_id == version_id:
                found.setdefault((way.device_id, version_id), []).append(way)
    return found


def _ways(session: Session, hashes: Iterable[str]) -> dict[str, list[tuple[ReleaseDevice, int]]]:
    """Of each device those ways that have not ended, with the app."""
    is_open = and_(ReleaseDevice.left_at.is_(None), or_(ReleaseDevice.is_control, ReleaseDevice.offered_at.is_not(None)))
    query = (
        select(ReleaseDevice, Version.app_id)
        .join(Release, Release.id == ReleaseDevice.release_id).join(Version, Version.id == Release.version_id)
        .where(ReleaseDevice.device_id.in_(hashes), is_open).order_by(ReleaseDevice.release_id.desc())
    )  # fmt: skip
    found: dict[str, list[tuple[ReleaseDevice, int]]] = {}
    for way, app_id in session.execute(query):
        found.setdefault(way.device_id, []).append((way, app_id))
    return found


def _leave(session: Session, way: ReleaseDevice, at: datetime) -> None:
    """It runs something else. Who never installed the release has nothing to leave."""
    if not way.is_control and way.installed_at is None:
        return
    _execute(session, update(ReleaseDevice).where(*_key(way), ReleaseDevice.left_at.is_(None)).values(left_at=at))
    set_committed_value(way, "left_at", at)


def _end_controls(session: Session, let_in: Mapping[tuple[int, str], datetime]) -> None:
    is_control = and_(ReleaseDevice.is_control, ReleaseDevice.left_at.is_(None))
    for way in session.scalars(select(ReleaseDevice).where(ReleaseDevice.device_id.in_({device for _, device in let_in}), is_control)):
        if (way.release_id, way.device_id) in let_in:
            _leave(session, way, let_in[way.release_id, way.device_id])


def _insert_new(session: Session, rows: Sequence[dict[str, Any]]) -> list[tuple[int, str]]:
    """Insert what is not there yet; answers what was inserted."""
    if not rows:
        return []
    statement = insert(session, ReleaseDevice).on_conflict_do_nothing().returning(ReleaseDevice.release_id, ReleaseDevice.device_id)
    return [(row[0], row[1]) for row in session.execute(statement, list(rows))]


def _key(way: ReleaseDevice) -> tuple[ColumnElement[bool], ...]:
    return (
        ReleaseDevice.release_id == way.release_id,
        ReleaseDevice.device_id == way.device_id,
        ReleaseDevice.is_control == way.is_control,
    )


def _write_completions(session: Session, done: Sequence[Completion], *, is_inferred: bool) -> None:
    rows = [
        {
            "app_id": each.app_id, "device_id": each.device, "from_version": each.from_version, "to_version": each.to_version,
            "platform": each.platform, "is_inferred": is_inferred, "completed_at": each.at,
        }
        for each in done
    ]  # fmt: skip
    if rows:
        statement, way = insert(session, UpdateCompletion), ["app_id", "platform", "device_id", "from_version", "to_version"]
        told = statement.on_conflict_do_update(index_elements=way, set_={"is_inferred": False})  # What a check showed is said now.
        session.connection().execute(statement.on_conflict_do_nothing() if is_inferred else told, rows)


def _execute(session: Session, statement: Any) -> bool:
    found = session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", found).rowcount > 0
