"""Each device's journey through a release: offered, downloaded, installed, healthy or failed, and left again.

The time of each stage is its first one. A device of the control group has one row for each control day
(`ota.core.health_members`). Rows are those of the table ``release_devices``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, CursorResult, Select, and_, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from ota.core.telemetry import EventKind, Stage
from ota.models import Release, ReleaseDevice, Version
from ota.telemetry import completions
from ota.telemetry.completions import Completion
from ota.telemetry.hourly_counts import HourlyCounts, insert

Pair = tuple[str, int]
"""The keyed hash of a device, and the id of a version."""


class OfferMade(NamedTuple):
    """A device was offered a release.

    ``is_known``: it had checked before the release started. ``is_drawn``: the draw included it.
    """

    release_id: int
    device: str
    code: int
    at: datetime
    is_known: bool = True
    is_drawn: bool = True


def offer(session: Session, counts: HourlyCounts, offers: Iterable[OfferMade]) -> None:
    """Record offers: the first one of each device, and the last one before it ran the release.

    A device that is offered a release leaves its control group.
    """
    first: dict[tuple[int, str], OfferMade] = {}
    last: dict[tuple[int, str], datetime] = {}
    for each in offers:
        key = each.release_id, each.device
        first.setdefault(key, each)
        last[key] = each.at
        counts.stage(each.release_id, Stage.OFFERED, each.at, events=1)
    rows = [_offer_row(each, enrolled_at=last[key]) for key, each in sorted(first.items())]
    new = [key for key, offered_at in _insert_offers(session, rows) if offered_at == first[key].at]
    for key in new:
        counts.stage(key[0], Stage.OFFERED, first[key].at, devices=1)
    _end_controls(session, {key: first[key].at for key in new})


def remove_drawn_from_control(
    session: Session, release_id: int, bucket_from: int, rollout: int, *, now: datetime
) -> None:
    """End the control days of all devices that a larger rollout now includes, whether they check soon or not.

    Ending them at each device's next check would keep those that check seldom in the control, and they fail
    seldom.
    """
    inside = ReleaseDevice.bucket >= bucket_from, ReleaseDevice.bucket < bucket_from + rollout
    which = ReleaseDevice.release_id == release_id, ReleaseDevice.is_control, ReleaseDevice.left_at.is_(None)
    _execute(session, update(ReleaseDevice).where(*which, *inside).values(left_at=now))


def enroll_controls(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert control days. Existing ones stay as they are."""
    if rows:
        session.execute(insert(session, ReleaseDevice).on_conflict_do_nothing(), list(rows))


def follow(
    session: Session, counts: HourlyCounts, moved: Sequence[Completion], *, is_inferred: bool = True
) -> None:
    """Devices run other versions than before: complete the journeys that led there, and end the others."""
    by_device = _open_journeys(session, {each.device for each in moved}) if moved else {}
    done = []
    for each in moved:
        for journey, app_id, platform in by_device.get(each.device, ()):
            if (app_id, platform) != (each.app_id, each.platform.value) or each.code is None:
                continue
            if journey.version_code != each.code:
                _leave(session, journey, each.at)
            elif (
                journey.offered_at is not None
                and journey.offered_at <= each.at
                and reach(session, counts, journey, Stage.INSTALLED, each.at)
            ):
                done.append(each)
    completions.write(session, done, is_inferred=is_inferred)


def complete(session: Session, counts: HourlyCounts, reported: Sequence[Completion]) -> None:
    """Record updates that devices reported. One that a check has shown before is not counted again."""
    follow(session, counts, reported, is_inferred=False)
    completions.write(session, reported, is_inferred=False)


def reach(session: Session, counts: HourlyCounts, journey: ReleaseDevice, stage: Stage, at: datetime) -> bool:
    """Record that the device reached a stage. Return False, and count nothing, if it did before."""
    if not _set_once(session, journey, f"{stage.value}_at", at):
        return False
    if not journey.is_control:
        counts.stage(journey.release_id, stage, at, devices=1)
    return True


def fail(
    session: Session, counts: HourlyCounts, journey: ReleaseDevice, kind: EventKind, at: datetime
) -> None:
    """Record a failure, at the enrollment or later: an earlier time is the mistake of a clock."""
    at = max(at, journey.enrolled_at or at)
    if kind is not EventKind.INSTALL_FAILED:
        _set_once(session, journey, "crashed_at", at)
    if reach(session, counts, journey, Stage.FAILED, at):
        _execute(session, update(ReleaseDevice).where(*_key(journey)).values(failure=kind))
        set_committed_value(journey, "failure", kind)


def find(session: Session, pairs: Iterable[Pair]) -> dict[Pair, list[ReleaseDevice]]:
    """Return the journeys that an event of a device with a version can belong to.

    First the releases of the version that the device was offered, newest first; then its control days for
    releases of the same app while it runs the version, the last day first.
    """
    wanted: dict[str, set[int]] = {}
    for device, version_id in pairs:
        wanted.setdefault(device, set()).add(version_id)
    runs = _builds(session, set[int]().union(*wanted.values()))
    query = (
        _journeys(Release.version_id, Version.app_id, Version.platform)
        .where(ReleaseDevice.device_id.in_(wanted))
        .order_by(ReleaseDevice.release_id.desc(), ReleaseDevice.turn.desc())
    )
    found: dict[Pair, list[ReleaseDevice]] = {}
    for journey, released_id, app_id, platform in session.execute(query):
        build = app_id, platform, journey.version_code
        for version_id in wanted[journey.device_id]:
            is_of = build == runs.get(version_id) if journey.is_control else released_id == version_id
            if is_of:
                found.setdefault((journey.device_id, version_id), []).append(journey)
    return found


def _builds(session: Session, version_ids: set[int]) -> dict[int, tuple[int, str, int]]:
    query = select(Version.id, Version.app_id, Version.platform, Version.version_code)
    rows = session.execute(query.where(Version.id.in_(version_ids)))
    return {row.id: (row.app_id, row.platform, row.version_code) for row in rows}


def _open_journeys(
    session: Session, hashes: Iterable[str]
) -> dict[str, list[tuple[ReleaseDevice, int, str]]]:
    """The journeys of each device that have not ended, with app and platform."""
    is_open = and_(
        ReleaseDevice.left_at.is_(None), or_(ReleaseDevice.is_control, ReleaseDevice.offered_at.is_not(None))
    )
    query = (
        _journeys(Version.app_id, Version.platform)
        .where(ReleaseDevice.device_id.in_(hashes), is_open)
        .order_by(ReleaseDevice.release_id.desc())
    )
    found: dict[str, list[tuple[ReleaseDevice, int, str]]] = {}
    for journey, app_id, platform in session.execute(query):
        found.setdefault(journey.device_id, []).append((journey, app_id, platform))
    return found


def _journeys(*columns: Any) -> Select[Any]:
    return (
        select(ReleaseDevice, *columns)
        .join(Release, Release.id == ReleaseDevice.release_id)
        .join(Version, Version.id == Release.version_id)
    )


def _set_once(session: Session, journey: ReleaseDevice, column: str, at: datetime) -> bool:
    if getattr(journey, column) is not None:
        return False
    is_unset = getattr(ReleaseDevice, column).is_(None)
    if not _execute(session, update(ReleaseDevice).where(*_key(journey), is_unset).values({column: at})):
        return False
    set_committed_value(journey, column, at)
    return True


def _leave(session: Session, journey: ReleaseDevice, at: datetime) -> None:
    """End a journey, because the device runs something else. Do nothing if it never installed the release."""
    if not journey.is_control and journey.installed_at is None:
        return
    _execute(
        session,
        update(ReleaseDevice).where(*_key(journey), ReleaseDevice.left_at.is_(None)).values(left_at=at),
    )
    set_committed_value(journey, "left_at", at)


def _end_controls(session: Session, offered: Mapping[tuple[int, str], datetime]) -> None:
    query = select(ReleaseDevice).where(
        ReleaseDevice.device_id.in_({device for _, device in offered}),
        ReleaseDevice.is_control,
        ReleaseDevice.left_at.is_(None),
    )
    for journey in session.scalars(query):
        offered_at = offered.get((journey.release_id, journey.device_id))
        if offered_at is not None:
            _leave(session, journey, offered_at)


def _offer_row(made: OfferMade, *, enrolled_at: datetime) -> dict[str, Any]:
    return {
        "release_id": made.release_id,
        "device_id": made.device,
        "is_control": False,
        "turn": 0,
        "version_code": made.code,
        "offered_at": made.at,
        "enrolled_at": enrolled_at,
        "is_known": made.is_known,
        "is_drawn": made.is_drawn,
    }


def _insert_offers(
    session: Session, rows: Sequence[dict[str, Any]]
) -> list[tuple[tuple[int, str], datetime | None]]:
    """Insert offers, or move the enrollment of devices that still run something else.

    Returns release, device and first offer of each row that was written.
    """
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


def _key(journey: ReleaseDevice) -> tuple[ColumnElement[bool], ...]:
    return (
        ReleaseDevice.release_id == journey.release_id,
        ReleaseDevice.device_id == journey.device_id,
        ReleaseDevice.is_control == journey.is_control,
        ReleaseDevice.turn == journey.turn,
    )


def _execute(session: Session, statement: Any) -> bool:
    """Run an UPDATE without touching loaded objects. Return whether it changed a row."""
    found = session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", found).rowcount > 0
