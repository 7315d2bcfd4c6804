"""The devices in a group. Ids are never stored: doors pass the function that turns an id into its hash."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.orm import Session

from ota import catalogs
from ota.devices import groups
from ota.devices.devices import MAX_DEVICE_ID, looks_hashed
from ota.errors import Invalid
from ota.history import audit
from ota.history.audit import Actor
from ota.models import DeviceGroup, DeviceGroupMember

MAX_MEMBERS = 5_000
"""Most devices in one group."""

MAX_NOTE = 120
"""Longest note about a device, in characters."""

_BATCH = 500
_QUIET = {"synchronize_session": False}

Hashed = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Added:
    """Numbers of devices that are new in a group, and that were in it before."""

    new: int
    known: int


def change(
    session: Session,
    actor: Actor,
    group: DeviceGroup,
    add_ids: Sequence[str],
    remove_ids: Sequence[str],
    *,
    note: str | None,
    hashed: Hashed,
    now: datetime,
) -> tuple[Added, int]:
    """Take devices out of the group, then put devices into it. A device in both lists is in it afterwards.

    Return what was added, and how many were removed. Raises `Invalid` like `add` and `remove`.
    """
    removed = remove(session, actor, group, remove_ids, hashed=hashed, now=now)
    return add(session, actor, group, add_ids, hashed=hashed, note=note, now=now), removed


def add(
    session: Session,
    actor: Actor,
    group: DeviceGroup,
    ids: Iterable[str],
    *,
    hashed: Hashed,
    note: str | None = None,
    now: datetime,
) -> Added:
    """Put devices into the group. Devices that are in it stay, with the new note if one is given.

    ``ids`` are what the devices send, 1 to 200 characters each. Raises `Invalid` and adds no device if an id
    or the note is bad, or if the group would have more than `MAX_MEMBERS` devices (``group_full``).
    """
    note = _checked_note(note)
    hashes = list(dict.fromkeys(hashed(each) for each in _checked_ids(ids, "add")))
    groups.lock(session, group.id)
    known = _members_among(session, group.id, hashes)
    new = [each for each in hashes if each not in known]
    _check_room(session, group, len(new))
    session.add_all(
        DeviceGroupMember(group_id=group.id, device_hash=each, note=note, added_at=now, added_by=actor.label)
        for each in new
    )
    session.flush()
    if note is not None:
        _set_note(session, group.id, known, note)
    if new:
        _record_added(session, actor, group, len(new), note, now)
    return Added(len(new), len(known))


def remove(
    session: Session, actor: Actor, group: DeviceGroup, which: Iterable[str], *, hashed: Hashed, now: datetime
) -> int:
    """Take devices out of the group, given their ids or the hashes from `listed`. Return how many were in it.

    Raises `Invalid` if one of them can be neither.
    """
    wanted = _checked_ids(which, "remove")
    hashes = {hashed(each) for each in wanted} | {each for each in wanted if looks_hashed(each)}
    groups.lock(session, group.id)
    found = _members_among(session, group.id, sorted(hashes))
    for chosen in _batches(group.id, found):
        session.execute(delete_from(DeviceGroupMember).where(*chosen), execution_options=_QUIET)
    session.expire_all()
    if found:
        _record_removed(session, actor, group, len(found), now)
    return len(found)


def listed(
    session: Session, group: DeviceGroup, *, limit: int = 100, offset: int = 0
) -> Sequence[DeviceGroupMember]:
    """Return the members of the group, the last added first."""
    query = select(DeviceGroupMember).where(DeviceGroupMember.group_id == group.id)
    query = query.order_by(DeviceGroupMember.added_at.desc(), DeviceGroupMember.device_hash)
    return session.scalars(query.limit(limit).offset(offset)).all()


def groups_of(session: Session, app_id: int, device_hash: str) -> Sequence[DeviceGroup]:
    """Return the app's groups that the device is in, by name."""
    query = select(DeviceGroup).join(DeviceGroupMember, DeviceGroup.id == DeviceGroupMember.group_id)
    query = query.where(DeviceGroup.app_id == app_id, DeviceGroupMember.device_hash == device_hash)
    return session.scalars(query.order_by(DeviceGroup.name)).all()


def _batches(group_id: int, hashes: Sequence[str]) -> Iterator[tuple[ColumnElement[bool], ...]]:
    """Conditions for these members of the group, a limited number at a time."""
    for start in range(0, len(hashes), _BATCH):
        chosen = DeviceGroupMember.device_hash.in_(hashes[start : start + _BATCH])
        yield DeviceGroupMember.group_id == group_id, chosen


def _members_among(session: Session, group_id: int, hashes: Sequence[str]) -> list[str]:
    found: list[str] = []
    for chosen in _batches(group_id, hashes):
        found += session.scalars(select(DeviceGroupMember.device_hash).where(*chosen))
    return found


def _set_note(session: Session, group_id: int, hashes: Sequence[str], note: str) -> None:
    for chosen in _batches(group_id, hashes):
        statement = update(DeviceGroupMember).where(*chosen).values(note=note)
        session.execute(statement, execution_options=_QUIET)
    session.expire_all()


def _check_room(session: Session, group: DeviceGroup, new: int) -> None:
    present = groups.count(session, group)
    if present + new > MAX_MEMBERS:
        raise Invalid(
            "group_full",
            f"A group holds at most {MAX_MEMBERS:,} devices: {group.name} has {present:,}, "
            f"and these are {new:,} more. "
            "To reach so many, raise the rollout, or make a channel for them.",
            field="add",
        )


def _record_added(
    session: Session, actor: Actor, group: DeviceGroup, count: int, note: str | None, now: datetime
) -> None:
    subject, after = ("group", group.id), {"name": group.name, "devices": count, "note": note}
    audit.record(session, actor, "group.devices_added", subject, now=now, app_id=group.app_id, after=after)
    catalogs.touch(session, group.app_id)


def _record_removed(session: Session, actor: Actor, group: DeviceGroup, count: int, now: datetime) -> None:
    subject, before = ("group", group.id), {"name": group.name, "devices": count}
    audit.record(
        session, actor, "group.devices_removed", subject, now=now, app_id=group.app_id, before=before
    )
    catalogs.touch(session, group.app_id)


def _checked_ids(ids: Iterable[str], field: str) -> list[str]:
    wanted = list(ids)
    for number, each in enumerate(wanted, 1):
        if not 1 <= len(each) <= MAX_DEVICE_ID:
            counted = f"Device {number} of {len(wanted)} has an id of {len(each)} characters"
            raise Invalid.about(
                field,
                "bad_device_id",
                f"{counted}; expected 1 to {MAX_DEVICE_ID}, exactly as the device sends it.",
            )
    return wanted


def _checked_note(note: str | None) -> str | None:
    note = (note or "").strip()
    if len(note) > MAX_NOTE or not note.isprintable():
        raise Invalid.about(
            "note",
            "bad_note",
            f"expected one line of at most {MAX_NOTE} characters, for example Anna's tablet.",
        )
    return note or None
