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
from ota.telemetry.hourly_counts import Tallies, insert


class Offered(NamedTuple):
    """A device was offered a release. ``is_known``: it had asked before the release started; ``is_drawn``: the draw let it in."""

    release_id: int
    device: str
    code: int
    at: datetime
    is_known: bool = True
    is_drawn: bool = True


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
    """Note who was offered a release, and when last before it ran it. Who is let in is no control any more."""
    first: dict[tuple[int, str], Offered] = {}
    last: dict[tuple[int, str], datetime] = {}
    for each in offers:
        key = each.release_id, each.device
        first.setdefault(key, each)
        last[key] = each.at
        tallies.stage(each.release_id, Stage.OFFERED, each.at, events=1)
    rows = [
        {
            "release_id": release_id,
            "device_id": device,
            "is_control": False,
            "turn": 0,
            "version_code": each.code,
            "offered_at": each.at,
            "enrolled_at": last[release_id, device],
            "is_known": each.is_known,
            "is_drawn": each.is_drawn,
        }
        for (release_id, device), each in sorted(first.items())
    ]
    new = [key for key, offered_at in _insert_offers(session, rows) if offered_at == first[key].at]
    for key in new:
        tallies.stage(key[0], Stage.OFFERED, first[key].at, devices=1)
    _end_controls(session, {key: first[key].at for key in new})


def let_in(session: Session, release_id: int, bucket_from: int, rollout: int, *, now: datetime) -> None:
    """The release is open to so many now: whom the draw lets in leaves its control at this moment, whether it asks soon or not.

    (To wait until each asks would leave those in the control that ask seldom, and they fail seldom too.)
    """
    inside = ReleaseDevice.bucket >= bucket_from, ReleaseDevice.bucket < bucket_from + rollout
    which = ReleaseDevice.release_id == release_id, ReleaseDevice.is_control, ReleaseDevice.left_at.is_(None)
    _execute(session, update(ReleaseDevice).where(*which, *inside).values(left_at=now))


def enrol_controls(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Add devices to the control of a release; those that are in it in this turn stay as they are."""
    if rows:
        session.execute(insert(session, ReleaseDevice).on_conflict_do_nothing(), list(rows))


def follow(
    session: Session, tallies: Tallies, moved: Sequence[Completion], *, is_inferred: bool = True
) -> None:
    """Devices run other versions than before: complete what they were offered, and end what they left."""
    ways = _ways(session, {each.device for each in moved}) if moved else {}
    done = []
    for each in moved:
        for way, app_id, platform in ways.get(each.device, ()):
            if (app_id, platform) != (each.app_id, each.platform.value) or each.code is None:
                continue
            if way.version_code != each.code:
                _leave(session, way, each.at)
            elif (
                way.offered_at is not None
                and way.offered_at <= each.at
                and reach(session, tallies, way, Stage.INSTALLED, each.at)
            ):
                done.append(each)
    _write_completions(session, done, is_inferred=is_inferred)


def complete(session: Session, tallies: Tallies, told: Sequence[Completion]) -> None:
    """Devices say that they have updated; counted once, also if a check has shown it."""
    follow(session, tallies, told, is_inferred=False)
    _write_completions(session, told, is_inferred=False)


def reach(session: Session, tallies: Tallies, way: ReleaseDevice, stage: Stage, at: datetime) -> bool:
    """The device has come that far. False when it had before: then nothing is counted."""
    if not _set_once(session, way, f"{stage.value}_at", at):
        return False
    if not way.is_control:
        tallies.stage(way.release_id, stage, at, devices=1)
    return True


def fail(session: Session, tallies: Tallies, way: ReleaseDevice, kind: EventKind, at: datetime) -> None:
    """The device has failed. What it ran when it was enrolled can't have failed before; a clock that says so is wrong."""
    at = max(at, way.enrolled_at or at)
    if kind is not EventKind.INSTALL_FAILED:
        _set_once(session, way, "crashed_at", at)
    if reach(session, tallies, way, Stage.FAILED, at):
        _execute(session, update(ReleaseDevice).where(*_key(way)).values(failure=kind))
        set_committed_value(way, "failure", kind)


def _set_once(session: Session, way: ReleaseDevice, column: str, at: datetime) -> bool:
    if getattr(way, column) is not None:
        return False
    if not _execute(
        session,
        update(ReleaseDevice)
        .where(*_key(way), getattr(ReleaseDevice, column).is_(None))
        .values({column: at}),
    ):
        return False
    set_committed_value(way, column, at)
    return True


def ways_of(session: Session, pairs: Iterable[tuple[str, int]]) -> dict[tuple[str, int], list[ReleaseDevice]]:
    """For devices and versions: the releases of the version that the device was offered, newest first, and those of the same app that it
    is a control of while it runs the version, the last turn first."""
    wanted: dict[str, set[int]] = {}
    for device, version_id in pairs:
        wanted.setdefault(device, set()).add(version_id)
    ids = set[int]().union(*wanted.values())
    whose = select(Version.id, Version.app_id, Version.platform, Version.version_code).where(
        Version.id.in_(ids)
    )
    runs = {row.id: (row.app_id, row.platform, row.version_code) for row in session.execute(whose)}
    query = (
        select(ReleaseDevice, Release.version_id, Version.app_id, Version.platform)
        .join(Release, Release.id == ReleaseDevice.release_id)
        .join(Version, Version.id == Release.version_id)
        .where(ReleaseDevice.device_id.in_(wanted))
        .order_by(ReleaseDevice.release_id.desc(), ReleaseDevice.turn.desc())
    )
    found: dict[tuple[str, int], list[ReleaseDevice]] = {}
    for way, released_id, app_id, platform in session.execute(query):
        for version_id in wanted[way.device_id]:
            is_of = (
                (app_id, platform, way.version_code) == runs.get(version_id)
                if way.is_control
                else released_id == version_id
            )
            if is_of:
                found.setdefault((way.device_id, version_id), []).append(way)
    return found


def _ways(session: Session, hashes: Iterable[str]) -> dict[str, list[tuple[ReleaseDevice, int, str]]]:
    """Of each device those ways that have not ended, with app and platform."""
    is_open = and_(
        ReleaseDevice.left_at.is_(None), or_(ReleaseDevice.is_control, ReleaseDevice.offered_at.is_not(None))
    )
    query = (
        select(ReleaseDevice, Version.app_id, Version.platform)
        .join(Release, Release.id == ReleaseDevice.release_id)
        .join(Version, Version.id == Release.version_id)
        .where(ReleaseDevice.device_id.in_(hashes), is_open)
        .order_by(ReleaseDevice.release_id.desc())
    )
    found: dict[str, list[tuple[ReleaseDevice, int, str]]] = {}
    for way, app_id, platform in session.execute(query):
        found.setdefault(way.device_id, []).append((way, app_id, platform))
    return found


def _leave(session: Session, way: ReleaseDevice, at: datetime) -> None:
    """It runs something else. Who never installed the release has nothing to leave."""
    if not way.is_control and way.installed_at is None:
        return
    _execute(
        session, update(ReleaseDevice).where(*_key(way), ReleaseDevice.left_at.is_(None)).values(left_at=at)
    )
    set_committed_value(way, "left_at", at)


def _end_controls(session: Session, let_in: Mapping[tuple[int, str], datetime]) -> None:
    is_control = and_(ReleaseDevice.is_control, ReleaseDevice.left_at.is_(None))
    for way in session.scalars(
        select(ReleaseDevice).where(ReleaseDevice.device_id.in_({device for _, device in let_in}), is_control)
    ):
        if (way.release_id, way.device_id) in let_in:
            _leave(session, way, let_in[way.release_id, way.device_id])


def _insert_offers(
    session: Session, rows: Sequence[dict[str, Any]]
) -> list[tuple[tuple[int, str], datetime | None]]:
    """Insert offers, or move on those of devices that still run something else. Answers what was written, with the first offer."""
    if not rows:
        return []
    statement = insert(session, ReleaseDevice)
    still = (
        ReleaseDevice.installed_at.is_(None),
        ReleaseDevice.failed_at.is_(None),
        ReleaseDevice.crashed_at.is_(None),
        ReleaseDevice.enrolled_at < statement.excluded.enrolled_at,
    )
    moved = statement.on_conflict_do_update(
        index_elements=["release_id", "device_id", "is_control", "turn"],
        set_={"enrolled_at": statement.excluded.enrolled_at},
        where=and_(*still),
    ).returning(ReleaseDevice.release_id, ReleaseDevice.device_id, ReleaseDevice.offered_at)
    return [((row[0], row[1]), row[2]) for row in session.execute(moved, list(rows))]


def _key(way: ReleaseDevice) -> tuple[ColumnElement[bool], ...]:
    return (
        ReleaseDevice.release_id == way.release_id,
        ReleaseDevice.device_id == way.device_id,
        ReleaseDevice.is_control == way.is_control,
        ReleaseDevice.turn == way.turn,
    )


def _write_completions(session: Session, done: Sequence[Completion], *, is_inferred: bool) -> None:
    rows = [
        {
            "app_id": each.app_id,
            "device_id": each.device,
            "from_version": each.from_version,
            "to_version": each.to_version,
            "platform": each.platform,
            "is_inferred": is_inferred,
            "completed_at": each.at,
        }
        for each in done
    ]
    if rows:
        statement, way = (
            insert(session, UpdateCompletion),
            ["app_id", "platform", "device_id", "from_version", "to_version"],
        )
        told = statement.on_conflict_do_update(
            index_elements=way, set_={"is_inferred": False}
        )  # What a check showed is said now.
        session.connection().execute(statement.on_conflict_do_nothing() if is_inferred else told, rows)


def _execute(session: Session, statement: Any) -> bool:
    found = session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", found).rowcount > 0
