"""Device groups: named sets of devices that a release may be open to, whatever its rollout.

Ids of devices are never kept. A door hands over the function that makes a keyed hash of an id, and that hash is stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from ota import catalogs
from ota.core.lifecycle import LIVE_STATES
from ota.db import MAX_ID, compare_and_set
from ota.devices.devices import MAX_DEVICE_ID
from ota.errors import Conflict, Invalid, NotFound, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, DeviceGroup, DeviceGroupMember, Release
from ota.models.releases import release_groups

MAX_MEMBERS = 5_000
MAX_NAME = 60
MAX_NOTE = 120

_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BATCH = 500
_QUIET = {"synchronize_session": False}

Hashed = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Added:
    """How many devices are new in the group, and how many were in it before."""

    new: int
    known: int


def create(session: Session, actor: Actor, app: App, *, name: str, now: datetime) -> DeviceGroup:
    """A new, empty group. Raises `Invalid` for a name that can't be, `Conflict` (``group_taken``)."""
    name, app_id = _checked_name(name), app.id
    _check_free(session, app, name)
    group = DeviceGroup(app_id=app_id, name=name, created_at=now)
    try:
        with session.begin_nested():
            session.add(group)
    except IntegrityError:
        raise _taken(app, name) from None
    audit.record(
        session, actor, "group.created", ("group", group.id), now=now, app_id=app_id, after={"name": name}
    )
    return group


def rename(
    session: Session,
    actor: Actor,
    group: DeviceGroup,
    *,
    name: str,
    revision: int | None = None,
    now: datetime,
) -> DeviceGroup:
    """Releases stay open to the group under its new name. Raises `Invalid`, and `Conflict` for a stale ``revision`` or a taken name."""
    name, before, group_id, app = _checked_name(name), group.name, group.id, group.app
    seen = group.revision if revision is None else revision
    _check_free(session, app, name, but=group_id)
    try:
        with session.begin_nested():
            is_written = compare_and_set(
                session,
                DeviceGroup,
                {"id": group_id},
                {"revision": seen},
                {"name": name, "revision": seen + 1},
            )
    except IntegrityError:
        raise _taken(app, name) from None
    if not is_written:
        raise _stale(session, get(session, group_id))
    if before != name:
        audit.record(
            session,
            actor,
            "group.renamed",
            ("group", group_id),
            now=now,
            app_id=app.id,
            before={"name": before},
            after={"name": name},
        )
    return group


def delete(
    session: Session, actor: Actor, group: DeviceGroup, *, revision: int | None = None, now: datetime
) -> None:
    """Forget the group and its members. Raises `Conflict` while a live release is open to it, or for a stale ``revision``."""
    group_id, app_id, name = group.id, group.app_id, group.name
    seen = group.revision if revision is None else revision
    _lock(session, group_id, to_delete=True)
    if group.revision != seen:
        raise _stale(session, group)
    releases = targeted_by(session, group)
    if releases:
        named = ", ".join(f"{release.version.version} on {release.channel.name}" for release in releases[:3])
        raise Conflict(
            "group_in_use",
            f"{name} can't be deleted: live releases are open to it ({named}). End them first.",
            current=summary(session, group),
        )
    members = count(session, group)
    session.execute(delete_from(release_groups).where(release_groups.c.group_id == group_id))
    session.execute(
        delete_from(DeviceGroupMember).where(DeviceGroupMember.group_id == group_id), execution_options=_QUIET
    )
    session.execute(delete_from(DeviceGroup).where(DeviceGroup.id == group_id), execution_options=_QUIET)
    session.expire_all()
    audit.record(
        session,
        actor,
        "group.deleted",
        ("group", group_id),
        now=now,
        app_id=app_id,
        before={"name": name, "devices": members},
    )
    catalogs.touch(session, app_id)


def add_devices(
    session: Session,
    actor: Actor,
    group: DeviceGroup,
    ids: Iterable[str],
    *,
    hashed: Hashed,
    note: str | None = None,
    now: datetime,
) -> Added:
    """Put devices into the group. Those that are in it stay, with the new note if one is given.

    ``ids`` have 1 to 200 characters each and are the ones that the devices send. Raises `Invalid` for one that can't be, and
    when the group would have more than `MAX_MEMBERS` devices; then none is added.
    """
    group_id, note = group.id, _checked_note(note)
    hashes = list(dict.fromkeys(hashed(each) for each in _checked_ids(ids, "add")))
    _lock(session, group_id)
    name, app_id = group.name, group.app_id
    known = _known(session, group_id, hashes)
    new = [each for each in hashes if each not in known]
    there = count(session, group)
    if there + len(new) > MAX_MEMBERS:
        raise Invalid(
            "group_full",
            f"A group holds at most {MAX_MEMBERS:,} devices: {name} has {there:,}, and these are {len(new):,} more. "
            "To reach so many, raise the rollout, or make a channel for them.",
            field="add",
        )
    session.add_all(
        DeviceGroupMember(group_id=group_id, device_hash=each, note=note, added_at=now, added_by=actor.label)
        for each in new
    )
    session.flush()
    if note is not None:
        _set_note(session, group_id, known, note)
    if new:
        after = {"name": name, "devices": len(new), "note": note}
        audit.record(
            session, actor, "group.devices_added", ("group", group_id), now=now, app_id=app_id, after=after
        )
        catalogs.touch(session, app_id)
    return Added(len(new), len(known))


def remove_devices(
    session: Session, actor: Actor, group: DeviceGroup, which: Iterable[str], *, hashed: Hashed, now: datetime
) -> int:
    """Take devices out of the group, named by their ids or by the hashes that `members` shows. Answers how many were in it."""
    group_id = group.id
    wanted = _checked_ids(which, "remove")
    hashes = {hashed(each) for each in wanted} | {each for each in wanted if _HASH.fullmatch(each)}
    _lock(session, group_id)
    found = _known(session, group_id, sorted(hashes))
    for start in range(0, len(found), _BATCH):
        chosen = DeviceGroupMember.device_hash.in_(found[start : start + _BATCH])
        session.execute(
            delete_from(DeviceGroupMember).where(DeviceGroupMember.group_id == group_id, chosen),
            execution_options=_QUIET,
        )
    session.expire_all()
    if found:
        before = {"name": group.name, "devices": len(found)}
        audit.record(
            session,
            actor,
            "group.devices_removed",
            ("group", group_id),
            now=now,
            app_id=group.app_id,
            before=before,
        )
        catalogs.touch(session, group.app_id)
    return len(found)


def get(session: Session, group_id: int, *, app: App | None = None) -> DeviceGroup:
    """Raises `NotFound`, also for a group of another app than the given one."""
    query = select(DeviceGroup).where(DeviceGroup.id == group_id).options(joinedload(DeviceGroup.app))
    group = session.scalar(query) if group_id <= MAX_ID else None
    if group is None or (app is not None and group.app_id != app.id):
        raise _unknown(group_id)
    return group


def find(session: Session, app: App, names: Iterable[str]) -> list[DeviceGroup]:
    """The app's groups with these names, each once, in the order of their names. Raises `NotFound` naming those there are."""
    wanted = set(names)
    if not wanted:
        return []
    known = {group.name: group for group in of_app(session, app)}
    missing = sorted(wanted - set(known))
    if missing:
        shown = ", ".join(list(known)[:20]) + (", ..." if len(known) > 20 else "")
        there = f"Expected one of: {shown}." if known else "It has none yet: make one first."
        raise NotFound(
            "unknown_group",
            f"{app.name} has no device group '{missing[0][:MAX_NAME]}'. {there}",
            field="groups",
        )
    return [known[name] for name in sorted(wanted)]


def of_app(session: Session, app: App, *, limit: int | None = None, offset: int = 0) -> Sequence[DeviceGroup]:
    """The app's groups by name."""
    query = select(DeviceGroup).where(DeviceGroup.app_id == app.id).options(joinedload(DeviceGroup.app))
    return session.scalars(query.order_by(DeviceGroup.name, DeviceGroup.id).limit(limit).offset(offset)).all()


def groups_of(session: Session, app_id: int, device_hash: str) -> frozenset[int]:
    """The ids of the app's groups that the device is in."""
    query = select(DeviceGroupMember.group_id).join(DeviceGroup, DeviceGroup.id == DeviceGroupMember.group_id)
    return frozenset(
        session.scalars(
            query.where(DeviceGroup.app_id == app_id, DeviceGroupMember.device_hash == device_hash)
        )
    )


def members(
    session: Session, group: DeviceGroup, *, limit: int = 100, offset: int = 0
) -> Sequence[DeviceGroupMember]:
    """Who is in the group, the last added first."""
    query = select(DeviceGroupMember).where(DeviceGroupMember.group_id == group.id)
    query = query.order_by(DeviceGroupMember.added_at.desc(), DeviceGroupMember.device_hash)
    return session.scalars(query.limit(limit).offset(offset)).all()


def count(session: Session, group: DeviceGroup) -> int:
    """How many devices are in the group."""
    return (
        session.scalar(
            select(func.count()).select_from(DeviceGroupMember).where(DeviceGroupMember.group_id == group.id)
        )
        or 0
    )


def counts(session: Session, app: App) -> Mapping[int, int]:
    """How many devices are in each of the app's groups that has some."""
    query = select(DeviceGroupMember.group_id, func.count()).join(
        DeviceGroup, DeviceGroup.id == DeviceGroupMember.group_id
    )
    rows = session.execute(query.where(DeviceGroup.app_id == app.id).group_by(DeviceGroupMember.group_id))
    return {row[0]: row[1] for row in rows}


def targeted_by(session: Session, group: DeviceGroup) -> Sequence[Release]:
    """The live releases that are open to the group, the newest first."""
    query = (
        select(Release)
        .join(release_groups, release_groups.c.release_id == Release.id)
        .where(release_groups.c.group_id == group.id, Release.state.in_(LIVE_STATES))
        .options(joinedload(Release.version), joinedload(Release.channel))
    )
    return session.scalars(query.order_by(Release.id.desc())).all()


def summary(session: Session, group: DeviceGroup) -> dict[str, Any]:
    """The present state in a few fields, for a conflict's ``current``."""
    return {"id": group.id, "name": group.name, "devices": count(session, group), "revision": group.revision}


def _lock(session: Session, group_id: int, *, to_delete: bool = False) -> None:
    """Nobody else changes the group, or who is in it, until the end of the transaction. Raises `NotFound` when it is gone."""
    # To be deleted it is locked against releases that begin to be open to it, too.
    query = select(DeviceGroup).where(DeviceGroup.id == group_id).with_for_update(key_share=not to_delete)
    if session.scalar(query.execution_options(populate_existing=True)) is None:
        raise _unknown(group_id)


def _known(session: Session, group_id: int, hashes: Sequence[str]) -> list[str]:
    found: list[str] = []
    for start in range(0, len(hashes), _BATCH):
        chosen = DeviceGroupMember.device_hash.in_(hashes[start : start + _BATCH])
        found += session.scalars(
            select(DeviceGroupMember.device_hash).where(DeviceGroupMember.group_id == group_id, chosen)
        )
    return found


def _set_note(session: Session, group_id: int, hashes: Sequence[str], note: str) -> None:
    for start in range(0, len(hashes), _BATCH):
        chosen = DeviceGroupMember.device_hash.in_(hashes[start : start + _BATCH])
        statement = (
            update(DeviceGroupMember).where(DeviceGroupMember.group_id == group_id, chosen).values(note=note)
        )
        session.execute(statement, execution_options=_QUIET)
    session.expire_all()


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


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise Invalid.about(
            "name",
            "bad_group_name",
            f"a group needs a name of 1 to {MAX_NAME} characters, for example Testers.",
        )
    return name


def _checked_note(note: str | None) -> str | None:
    note = (note or "").strip()
    if len(note) > MAX_NOTE or not note.isprintable():
        raise Invalid.about(
            "note",
            "bad_note",
            f"expected one line of at most {MAX_NOTE} characters, for example Anna's tablet.",
        )
    return note or None


def _check_free(session: Session, app: App, name: str, *, but: int | None = None) -> None:
    # Names that differ in capitals alone would be mixed up by people.
    if any(group.name.casefold() == name.casefold() and group.id != but for group in of_app(session, app)):
        raise _taken(app, name)


def _taken(app: App, name: str) -> Conflict:
    return Conflict("group_taken", f"{app.name} already has a group {name}.", field="name")


def _stale(session: Session, group: DeviceGroup) -> Conflict:
    return Stale(
        f"Somebody changed this group meanwhile: it is now called {group.name}. Look again.",
        current=summary(session, group),
    )


def _unknown(group_id: int) -> NotFound:
    return NotFound("unknown_group", f"There is no device group with the id {group_id}.")
