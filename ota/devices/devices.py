"""The registry of devices: what each one last reported about itself, noted in batches and counted."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from ota.core.build_facts import Build
from ota.core.decision import UpdateQuery
from ota.core.platforms import Platform, abi_names, os_numbers
from ota.core.preflight import ActiveDevices
from ota.core.versions import parse_current_version
from ota.models import App, Channel, Device, Version

MAX_DEVICE_ID = 200
"""Longest device id, in characters."""

ACTIVE_WITHIN = timedelta(days=30)
"""A device that checked within this time is active. Others are not counted."""

FORGOTTEN_AFTER = timedelta(days=90)
"""A device that has not checked for this time is deleted."""

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a device reported about itself in one check.

    ``device_hash`` is from `hashed`. ``abis`` are sorted. ``longest_gap`` is in seconds and includes the gap
    that ended with this check (`ota.core.silence`).
    """

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
    """Return the keyed hash of a device id: HMAC-SHA256 with the server's secret, in hex.

    Ids are stored in no other form.
    """
    return hmac.digest(secret.encode(), b"device:" + device_id.encode(), "sha256").hex()


def looks_hashed(text: str) -> bool:
    """Return whether a text can be a keyed hash. A device id can look the same."""
    return _HASH.fullmatch(text) is not None


def note(session: Session, sightings: Iterable[Sighting]) -> None:
    """Store what each device reported last. Running twice changes nothing."""
    apps = {row.id: row.app_id for row in session.execute(select(Channel.id, Channel.app_id))}
    rows = [_row(apps[each.channel_id], each) for each in sightings if each.channel_id in apps]
    unique = {(row["app_id"], row["platform"], row["device_hash"]): row for row in rows}
    if unique:
        # In one order everywhere, so that two writers never wait for each other.
        _upsert(session, [unique[key] for key in sorted(unique)])


def forget_old(session: Session, *, now: datetime) -> int:
    """Delete devices that have not checked within `FORGOTTEN_AFTER`. Return their number."""
    found = session.execute(
        delete(Device).where(Device.last_seen_at < now - FORGOTTEN_AFTER),
        execution_options={"synchronize_session": False},
    )
    return cast("CursorResult[Any]", found).rowcount


def count_active(session: Session, app_id: int, *, now: datetime) -> int:
    """Return the number of the app's active devices, on all platforms and channels."""
    return _count(session, Device.app_id == app_id, Device.last_seen_at > now - ACTIVE_WITHIN)


def known(session: Session, app_id: int, hashes: Collection[str]) -> Mapping[str, Device]:
    """Return the devices with these hashes, by hash. Those that have never checked are left out."""
    # Naming both platforms lets the database use the index that begins with app and platform.
    query = select(Device).where(
        Device.app_id == app_id, Device.platform.in_(list(Platform)), Device.device_hash.in_(hashes)
    )
    return {device.device_hash: device for device in session.scalars(query.order_by(Device.last_seen_at))}


def fleet(session: Session, app: App, build: Build, *, now: datetime) -> ActiveDevices:
    """Count the app's active devices on the build's platform, and those that could not install the build."""
    is_active = (
        Device.app_id == app.id,
        Device.platform == build.platform,
        Device.last_seen_at > now - ACTIVE_WITHIN,
    )

    def count(*conditions: ColumnElement[bool]) -> int:
        return _count(session, *is_active, *conditions)

    groups = session.execute(
        select(Device.abis, func.count()).where(*is_active, Device.abis.is_not(None)).group_by(Device.abis)
    )
    without = sum(number for abis, number in groups if not build.runs_on((abis or "").split(",")))
    is_android = build.platform is Platform.ANDROID
    return ActiveDevices(
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
    """Return the number of active devices that run exactly this version and keep it when it is taken back."""
    return _count(
        session,
        Device.app_id == version.app_id,
        Device.platform == version.platform,
        Device.version_code == version.version_code,
        Device.last_seen_at > now - ACTIVE_WITHIN,
    )


def query_of(device: Device, *, groups: frozenset[int] = frozenset()) -> UpdateQuery | None:
    """Return the check that a known device would send. None if its version can't be read.

    Ids are not kept, so its hash takes the place of its id.
    """
    try:
        current = parse_current_version(device.app_version)
    except ValueError:
        return None
    return UpdateQuery(
        current,
        device_id=device.device_hash,
        groups=groups,
        sdk=device.sdk,
        os=os_numbers(device.os_version) if device.os_version else None,
        abis=abi_names(device.abis),
    )


def _count(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(Device).where(*conditions)) or 0


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


def _upsert(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    statement = (postgresql.insert if is_postgresql else sqlite.insert)(Device)
    fixed = {"app_id", "platform", "device_hash", "first_seen_at"}
    new: dict[str, Any] = {name: statement.excluded[name] for name in rows[0] if name not in fixed}
    # What a device did not report this time is still true.
    for name in ("sdk", "os_version", "abis"):
        new[name] = func.coalesce(statement.excluded[name], getattr(Device, name))
    # The journals of several machines are not counted in order.
    is_newer = statement.excluded.last_seen_at >= Device.last_seen_at
    keys = ["app_id", "platform", "device_hash"]
    # The driver gets a list of rows: one statement with thousands of values would have to be composed first.
    session.connection().execute(
        statement.on_conflict_do_update(index_elements=keys, set_=new, where=is_newer), list(rows)
    )
