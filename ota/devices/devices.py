"""The devices that ask: noted in batches, counted against a build."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from ota.core.build_facts import Build
from ota.core.decision import UpdateQuery
from ota.core.platforms import Platform, os_numbers
from ota.core.preflight import Fleet
from ota.core.versions import parse_current_version
from ota.models import App, Channel, Device, Version

MAX_DEVICE_ID = 200
"""Longest device id, in characters."""

ACTIVE_WITHIN = timedelta(days=30)
"""A device that has not asked for so long is not counted."""

FORGOTTEN_AFTER = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a device said of itself in a check. ``abis`` are sorted names; ``device_hash`` from `hashed`; ``longest_gap`` in seconds,
    with the gap before this check (`ota.core.silence`)."""

    channel_id: int
    platform: Platform
    device_hash: str
    app_version: str
    version_code: int | None
    sdk: int | None
    os_version: str | None
    abis: tuple[str, ...]
    at: datetime
    longest_gap: int = 0


def hashed(secret: str, device_id: str) -> str:
    """The only form in which a device's id is kept: HMAC-SHA256 with the server's secret, in hex."""
    return hmac.digest(secret.encode(), b"device:" + device_id.encode(), "sha256").hex()


def note(session: Session, sightings: Iterable[Sighting]) -> None:
    """Remember what each device said last. Running twice changes nothing."""
    apps = {row.id: row.app_id for row in session.execute(select(Channel.id, Channel.app_id))}
    rows = [_row(apps[each.channel_id], each) for each in sightings if each.channel_id in apps]
    unique = list({(row["app_id"], row["platform"], row["device_hash"]): row for row in rows}.values())
    if not unique:
        return
    # In one order everywhere, so that two writers never wait for each other.
    unique.sort(key=lambda row: (row["app_id"], row["platform"], row["device_hash"]))
    statement = (postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert)(
        Device
    )
    new: dict[str, Any] = {
        name: statement.excluded[name]
        for name in unique[0]
        if name not in {"app_id", "platform", "device_hash", "first_seen_at"}
    }
    # What a device did not say this time is still true.
    for name in ("sdk", "os_version", "abis"):
        new[name] = func.coalesce(statement.excluded[name], getattr(Device, name))
    # Row by row for the driver, which needs no statement of thousands of values to be put together.
    keys = ["app_id", "platform", "device_hash"]
    is_newer = (
        statement.excluded.last_seen_at >= Device.last_seen_at
    )  # Journals of several machines are not counted in order.
    session.connection().execute(
        statement.on_conflict_do_update(index_elements=keys, set_=new, where=is_newer), unique
    )


def forget_old(session: Session, *, now: datetime) -> int:
    """Delete devices that have not asked for so long that nothing counts them. Answers how many."""
    found = session.execute(
        delete(Device).where(Device.last_seen_at < now - FORGOTTEN_AFTER),
        execution_options={"synchronize_session": False},
    )
    return cast("CursorResult[Any]", found).rowcount


def count_active(session: Session, app_id: int, *, now: datetime) -> int:
    """How many devices of the app asked within `ACTIVE_WITHIN`, on all platforms and channels."""
    query = (
        select(func.count())
        .select_from(Device)
        .where(Device.app_id == app_id, Device.last_seen_at > now - ACTIVE_WITHIN)
    )
    return session.scalar(query) or 0


def known(session: Session, app_id: int, hashes: Collection[str]) -> Mapping[str, Device]:
    """What is known of the devices with these hashes, as they last asked; those that never did are left out."""
    # Naming both platforms lets the database use the index that begins with app and platform.
    query = select(Device).where(
        Device.app_id == app_id, Device.platform.in_(list(Platform)), Device.device_hash.in_(hashes)
    )
    return {device.device_hash: device for device in session.scalars(query.order_by(Device.last_seen_at))}


def fleet(session: Session, app: App, build: Build, *, now: datetime) -> Fleet:
    """How many active devices the app has on the build's platform, and whom the build would leave behind."""
    is_active = (
        Device.app_id == app.id,
        Device.platform == build.platform,
        Device.last_seen_at > now - ACTIVE_WITHIN,
    )

    def count(*conditions: ColumnElement[bool]) -> int:
        return session.scalar(select(func.count()).select_from(Device).where(*is_active, *conditions)) or 0

    groups = session.execute(
        select(Device.abis, func.count()).where(*is_active, Device.abis.is_not(None)).group_by(Device.abis)
    )
    without = sum(number for abis, number in groups if not build.runs_on((abis or "").split(",")))
    is_android = build.platform is Platform.ANDROID
    return Fleet(
        active=count(),
        below_minimum=count(Device.sdk < (build.min_sdk or 0))
        if is_android
        else _below_ios(session, is_active, build),
        without_abi=without if is_android else 0,
        already_newer=count(Device.version_code >= build.version_code),
        unknown_system=count(Device.sdk.is_(None) if is_android else Device.os_version.is_(None)),
        unknown_abis=count(Device.abis.is_(None)),
    )


def stranded(session: Session, version: Version, *, now: datetime) -> int:
    """How many active devices run exactly this version: nothing takes it back from them."""
    on_it = (
        Device.app_id == version.app_id,
        Device.platform == version.platform,
        Device.version_code == version.version_code,
    )
    return (
        session.scalar(
            select(func.count()).select_from(Device).where(*on_it, Device.last_seen_at > now - ACTIVE_WITHIN)
        )
        or 0
    )


def _below_ios(session: Session, is_active: tuple[ColumnElement[bool], ...], build: Build) -> int:
    wanted = os_numbers(build.minimum_os)
    groups = session.execute(
        select(Device.os_version, func.count()).where(*is_active).group_by(Device.os_version)
    )
    return sum(number for version, number in groups if version and os_numbers(version) < wanted)


def _row(app_id: int, each: Sighting) -> dict[str, Any]:
    return {
        "app_id": app_id,
        "platform": each.platform,
        "device_hash": each.device_hash,
        "app_version": each.app_version,
        "version_code": each.version_code,
        "sdk": each.sdk,
        "os_version": each.os_version,
        "abis": ",".join(each.abis) or None,
        "first_seen_at": each.at,
        "last_seen_at": each.at,
        "longest_gap": each.longest_gap,
    }


def query_of(
    device: Device, *, device_id: str | None = None, groups: frozenset[int] = frozenset()
) -> UpdateQuery | None:
    """What a known device would ask; None when its version can't be read. Its id is not kept: without one its hash stands in for it."""
    try:
        current = parse_current_version(device.app_version)
    except ValueError:
        return None
    return UpdateQuery(
        current,
        device_id=device_id or device.device_hash,
        groups=groups,
        sdk=device.sdk,
        os=os_numbers(device.os_version) if device.os_version else None,
        abis=abi_names(device.abis),
    )


def abi_names(abis: str | None) -> frozenset[str]:
    return frozenset(abis.split(",")) if abis else frozenset()
