"""Adoption: the number of active devices by version, stored for each day."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ota.devices.devices import ACTIVE_WITHIN
from ota.fleet.series import OTHER
from ota.models import Adoption, Device, Version
from ota.telemetry.hourly_counts import insert

MAX_UNKNOWN = 50
"""Versions unknown to the app that get their own row per day and platform: those on the most devices."""

_KEY = ("app_id", "platform", "app_version")
_Key = tuple[int, str, str]


def note_adoption(session: Session, *, now: datetime) -> None:
    """Store the number of active devices by version for today.

    Can run twice, also at the same time, without harm.
    """
    today = now.date()
    query = select(Device.app_id, Device.platform, Device.app_version, func.count()).where(
        Device.last_seen_at > now - ACTIVE_WITHIN
    )
    rows_of = session.execute(query.group_by(Device.app_id, Device.platform, Device.app_version))
    found = _bounded(session, {(row[0], row[1], row[2]): row[3] for row in rows_of})
    for row in session.scalars(select(Adoption).where(Adoption.day == today)):
        if (row.app_id, row.platform, row.app_version) not in found:
            session.delete(row)  # No device has run it since it was last counted today.
    session.flush()
    # Sorted, so that two writers lock the rows in the same order and cannot deadlock.
    rows = [
        {**dict(zip(_KEY, key, strict=True)), "day": today, "devices": found[key]} for key in sorted(found)
    ]
    if rows:
        statement = insert(session, Adoption)
        grown = statement.on_conflict_do_update(
            index_elements=["app_id", "platform", "day", "app_version"],
            set_={"devices": statement.excluded.devices},
        )
        session.connection().execute(grown, rows)


def _bounded(session: Session, found: dict[_Key, int]) -> dict[_Key, int]:
    """Return counts of the app's versions and of the largest unknown ones; the rest is `OTHER`.

    Devices can invent versions.
    """
    own = set[_Key]()
    for app_id, platform, name, code in session.execute(
        select(Version.app_id, Version.platform, Version.version, Version.version_code)
    ):
        own |= {(app_id, platform, name), (app_id, platform, f"{name}+{code}")}
    unknown = defaultdict[tuple[int, str], list[_Key]](list)
    for key in sorted(found.keys() - own, key=lambda key: (-found[key], key)):
        unknown[key[:2]].append(key)
    rest = {key for keys in unknown.values() for key in keys[MAX_UNKNOWN:]}
    bounded = Counter[_Key]()
    for key, devices in found.items():
        bounded[(key[0], key[1], OTHER) if key in rest else key] += devices
    return dict(bounded)
