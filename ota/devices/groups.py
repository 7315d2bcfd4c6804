"""Device groups: named sets of devices. `group_members` fills them, and a release can be open to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from ota import catalogs
from ota.core.lifecycle import LIVE_STATES
from ota.db import MAX_ID, compare_and_set
from ota.errors import Conflict, Invalid, NotFound, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, DeviceGroup, DeviceGroupMember, Release
from ota.models.releases import release_groups

MAX_NAME = 60
"""Longest name of a group, in characters."""

MAX_PER_RELEASE = 20
"""Most groups that one release can be open to."""

_LISTED = 20
_QUIET = {"synchronize_session": False}


def create(session: Session, actor: Actor, app: App, *, name: str, now: datetime) -> DeviceGroup:
    """Make an empty group. Raises `Invalid` for a bad name, and `Conflict` (``group_taken``)."""
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
    """Rename the group. Releases that are open to it stay so.

    Raises `Invalid` for a bad name, `Conflict` (``group_taken``), and `Stale`.
    """
    name, before, group_id, app = _checked_name(name), group.name, group.id, group.app
    _check_free(session, app, name, but=group_id)
    if not _set_name(session, group, name, revision):
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
    """Delete the group and its members.

    Raises `Conflict` (``group_in_use``) while a live release is open to it, and `Stale`.
    """
    group_id, app_id = group.id, group.app_id
    seen = group.revision if revision is None else revision
    lock(session, group_id, to_delete=True)
    if group.revision != seen:
        raise _stale(session, group)
    _check_unused(session, group)
    before = {"name": group.name, "devices": count(session, group)}
    session.execute(delete_from(release_groups).where(release_groups.c.group_id == group_id))
    session.execute(
        delete_from(DeviceGroupMember).where(DeviceGroupMember.group_id == group_id), execution_options=_QUIET
    )
    session.execute(delete_from(DeviceGroup).where(DeviceGroup.id == group_id), execution_options=_QUIET)
    session.expire_all()
    audit.record(session, actor, "group.deleted", ("group", group_id), now=now, app_id=app_id, before=before)
    catalogs.touch(session, app_id)


def get(session: Session, group_id: int, *, app: App | None = None) -> DeviceGroup:
    """Return the group. Raises `NotFound`, also if it belongs to another app than the given one."""
    query = select(DeviceGroup).where(DeviceGroup.id == group_id).options(joinedload(DeviceGroup.app))
    group = session.scalar(query) if group_id <= MAX_ID else None
    if group is None or (app is not None and group.app_id != app.id):
        raise _unknown(group_id)
    return group


def named(session: Session, app: App, names: Sequence[str]) -> list[DeviceGroup]:
    """Return the app's groups with these names, for one release: each once, in the order of the names given.

    Raises `NotFound` (``unknown_group``), which lists the app's groups, and `Invalid` (``too_many_groups``).
    """
    wanted = list(dict.fromkeys(name.strip() for name in names))
    if not wanted:
        return []
    known = {group.name: group for group in of_app(session, app)}
    unknown = next((name for name in wanted if name not in known), None)
    if unknown is not None:
        listed = ", ".join(list(known)[:_LISTED]) or "none yet"
        raise NotFound.about(
            "groups",
            "unknown_group",
            f"{app.name} has no device group '{unknown[:MAX_NAME]}'. There are: {listed}.",
        )
    if len(wanted) > MAX_PER_RELEASE:
        raise Invalid.about("groups", "too_many_groups", f"at most {MAX_PER_RELEASE} for one release.")
    return [known[name] for name in wanted]


def of_app(session: Session, app: App, *, limit: int | None = None, offset: int = 0) -> Sequence[DeviceGroup]:
    """Return the app's groups by name."""
    query = select(DeviceGroup).where(DeviceGroup.app_id == app.id).options(joinedload(DeviceGroup.app))
    return session.scalars(query.order_by(DeviceGroup.name, DeviceGroup.id).limit(limit).offset(offset)).all()


def count(session: Session, group: DeviceGroup) -> int:
    """Return the number of devices in the group."""
    query = select(func.count()).where(DeviceGroupMember.group_id == group.id)
    return session.scalar(query) or 0


def counts(session: Session, app: App) -> Mapping[int, int]:
    """Return the number of devices in each of the app's groups, by id. Empty groups are left out."""
    query = select(DeviceGroupMember.group_id, func.count()).join(
        DeviceGroup, DeviceGroup.id == DeviceGroupMember.group_id
    )
    rows = session.execute(query.where(DeviceGroup.app_id == app.id).group_by(DeviceGroupMember.group_id))
    return {row[0]: row[1] for row in rows}


def targeted_by(session: Session, group: DeviceGroup) -> Sequence[Release]:
    """Return the live releases that are open to the group, newest first."""
    query = (
        select(Release)
        .join(release_groups, release_groups.c.release_id == Release.id)
        .where(release_groups.c.group_id == group.id, Release.state.in_(LIVE_STATES))
        .options(joinedload(Release.version), joinedload(Release.channel))
    )
    return session.scalars(query.order_by(Release.id.desc())).all()


def lock(session: Session, group_id: int, *, to_delete: bool = False) -> None:
    """Read the group again and lock it and its members until the end of the transaction.

    ``to_delete`` locks it also against releases that are about to be opened to it.
    Raises `NotFound` if it is gone.
    """
    query = select(DeviceGroup).where(DeviceGroup.id == group_id).with_for_update(key_share=not to_delete)
    if session.scalar(query.execution_options(populate_existing=True)) is None:
        raise _unknown(group_id)


def _set_name(session: Session, group: DeviceGroup, name: str, revision: int | None) -> bool:
    seen, app = group.revision if revision is None else revision, group.app
    values = {"name": name, "revision": seen + 1}
    try:
        with session.begin_nested():
            return compare_and_set(session, DeviceGroup, {"id": group.id}, {"revision": seen}, values)
    except IntegrityError:
        raise _taken(app, name) from None


def _check_unused(session: Session, group: DeviceGroup) -> None:
    releases = targeted_by(session, group)
    if releases:
        shown = ", ".join(f"{release.version.version} on {release.channel.name}" for release in releases[:3])
        raise Conflict(
            "group_in_use",
            f"{group.name} can't be deleted: live releases are open to it ({shown}). End them first.",
            current=_summary(session, group),
        )


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise Invalid.about(
            "name",
            "bad_group_name",
            f"a group needs a name of 1 to {MAX_NAME} characters, for example Testers.",
        )
    return name


def _check_free(session: Session, app: App, name: str, *, but: int | None = None) -> None:
    # People would confuse names that differ only in capitals.
    if any(group.name.casefold() == name.casefold() and group.id != but for group in of_app(session, app)):
        raise _taken(app, name)


def _summary(session: Session, group: DeviceGroup) -> dict[str, Any]:
    return {"id": group.id, "name": group.name, "devices": count(session, group), "revision": group.revision}


def _taken(app: App, name: str) -> Conflict:
    return Conflict("group_taken", f"{app.name} already has a group {name}.", field="name")


def _stale(session: Session, group: DeviceGroup) -> Stale:
    return Stale(
        f"Somebody changed this group meanwhile: it is now called {group.name}. Look again.",
        current=_summary(session, group),
    )


def _unknown(group_id: int) -> NotFound:
    return NotFound("unknown_group", f"There is no device group with the id {group_id}.")
