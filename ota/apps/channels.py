"""The channels of an app: making, changing and deleting them, and who has to agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, exists, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload, selectinload

from ota import catalogs
from ota.apps import fallbacks, fields
from ota.apps.two_person import Approval, NeedsApproval
from ota.db import MAX_ID, compare_and_set
from ota.errors import Conflict, NotFound, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Channel, Release, Upload
from ota.models.apps import channel_fallbacks
from ota.models.releases import Experiment, Proposal


@dataclass(frozen=True, slots=True)
class ChannelEdit:
    """The editable part of a channel: the names of its fallbacks, and its two-person rule.

    ``approval_above`` is in basis points; None is no rule. `edit_of` returns the present one: replace in
    it what should change.
    """

    falls_back_to: tuple[str, ...] = ()
    approval_above: int | None = None


def create(
    session: Session,
    actor: Actor,
    app: App,
    *,
    name: str,
    falls_back_to: Sequence[str] = (),
    approval_above: int | None = None,
    now: datetime,
) -> Channel:
    """Make a channel. Raises `Invalid` for a bad value, and `Conflict` (``channel_taken``)."""
    name, above = fields.channel_name(name), fields.approval_above(approval_above)
    known = fallbacks.lock(session, app.id)
    if name in known:
        raise _taken(app, name)
    targets = fallbacks.targets(known, name, falls_back_to)
    channel = Channel(app_id=app.id, name=name, approval_above=above, created_at=now)
    try:
        with session.begin_nested():
            session.add(channel)
    except IntegrityError:
        raise _taken(app, name) from None
    channel.falls_back_to = targets
    session.flush()
    session.expire(app, ["channels"])
    after = {"name": name, **_in_words(edit_of(channel))}
    audit.record(
        session, actor, "channel.created", ("channel", channel.id), now=now, app_id=app.id, after=after
    )
    catalogs.touch(session, app.id)
    return channel


def edit(
    session: Session,
    actor: Actor,
    channel: Channel,
    wanted: ChannelEdit,
    *,
    revision: int | None = None,
    approval: Approval | None = None,
    now: datetime,
) -> Channel:
    """Change the fallbacks and the two-person rule of a channel.

    Raises `NeedsApproval` if nobody has approved it and it loosens the rule of this channel or of a follower,
    `Invalid` for a bad fallback or rule, and `Stale`.
    """
    seen = channel.revision if revision is None else revision
    targets, after = _checked(session, channel, wanted)
    before = edit_of(channel)
    if channel.revision != seen:
        raise _stale(
            channel
        )  # Before another person is asked to approve an edit that can no longer be saved.
    if approval is None:
        _demand_approval(session, channel, before, after, seen)
    values = {"approval_above": after.approval_above, "revision": seen + 1}
    if not compare_and_set(session, Channel, {"id": channel.id}, {"revision": seen}, values):
        raise _stale(channel)
    channel.falls_back_to = targets
    session.flush()
    if before != after:
        _record_edit(session, actor, channel, before, after, now)
        catalogs.touch(session, channel.app_id)
    return channel


def delete(
    session: Session, actor: Actor, channel: Channel, *, revision: int | None = None, now: datetime
) -> None:
    """Delete a channel. Uploads that were sent for it go to the default channel instead.

    Raises `Conflict` with the reason of `why_kept`, and `Stale`.
    """
    channel_id, app_id, name = channel.id, channel.app_id, channel.name
    seen = channel.revision if revision is None else revision
    fallbacks.lock(session, app_id)
    reason = why_kept(session, channel)
    if reason is not None:
        raise reason
    before = {"name": name, **_in_words(edit_of(channel))}
    audit.record(
        session, actor, "channel.deleted", ("channel", channel_id), now=now, app_id=app_id, before=before
    )
    session.execute(
        update(Upload).where(Upload.app_id == app_id, Upload.channel == name).values(channel=None)
    )
    session.execute(delete_from(channel_fallbacks).where(channel_fallbacks.c.channel_id == channel_id))
    if not _delete_row(session, channel_id, name, seen):
        raise _stale(get(session, channel_id))
    session.expire_all()
    catalogs.touch(session, app_id)


def why_kept(session: Session, channel: Channel) -> Conflict | None:
    """Return the reason why a channel cannot be deleted, if there is one.

    It is the default channel, a fallback of others, or has a history.
    """
    name = channel.name
    if channel.is_default:
        return Conflict(
            "default_channel",
            f"{name} is the default channel: devices that name none follow it, so it stays.",
        )
    followers = fallbacks.followers(session, channel)
    if followers:
        names, verb = ", ".join(each.name for each in followers), "falls" if len(followers) == 1 else "fall"
        return Conflict(
            "channel_in_use", f"{names} {verb} back to {name}. Change that first, then delete it."
        )
    return _has_history(name) if _is_used(session, channel) else None


def get(session: Session, channel_id: int, *, app: App | None = None) -> Channel:
    """Return the channel. Raises `NotFound`, also if it belongs to another app than the given one."""
    channel = session.scalar(_query().where(Channel.id == channel_id)) if channel_id <= MAX_ID else None
    if channel is None or (app is not None and channel.app_id != app.id):
        raise _unknown(channel_id)
    return channel


def of_app(session: Session, app: App) -> Sequence[Channel]:
    """Return the app's channels with their fallbacks: the default one first, the others by name."""
    query = _query().where(Channel.app_id == app.id)
    return session.scalars(query.order_by(Channel.is_default.desc(), Channel.name)).all()


def edit_of(channel: Channel) -> ChannelEdit:
    """Return the present fallbacks and rule of a channel."""
    return ChannelEdit(tuple(sorted(each.name for each in channel.falls_back_to)), channel.approval_above)


def _query() -> Select[Channel]:
    return select(Channel).options(joinedload(Channel.app), selectinload(Channel.falls_back_to))


def _checked(session: Session, channel: Channel, wanted: ChannelEdit) -> tuple[list[Channel], ChannelEdit]:
    """Lock the app's channels. Return the wanted fallbacks, and the edit as `edit_of` would return it."""
    above = fields.approval_above(wanted.approval_above)
    channel_id, name = channel.id, channel.name
    known = fallbacks.lock(session, channel.app_id)
    if name not in known:
        raise _unknown(channel_id)
    targets = fallbacks.targets(known, name, wanted.falls_back_to)
    fallbacks.check_no_circle(session, known, channel, [each.id for each in targets])
    return targets, ChannelEdit(tuple(each.name for each in targets), above)


def _demand_approval(
    session: Session, channel: Channel, before: ChannelEdit, after: ChannelEdit, seen: int
) -> None:
    """Raise `NeedsApproval` if the edit loosens a rule as it was before the edit."""
    known = {each.name: each for each in of_app(session, channel.app)}
    loosened = fallbacks.loosened_by(known, channel, after.falls_back_to, after.approval_above)
    if loosened:
        was, wanted = _in_words(before), _in_words(after)
        changes = ", ".join(
            f"{field.replace('_', ' ')} {wanted[field]} instead of {was[field]}"
            for field in wanted
            if wanted[field] != was[field]
        )
        payload = {"channel_id": channel.id, "changes": after, "revision": seen}
        raise NeedsApproval("channel", loosened[0], f"Change the channel {channel.name}: {changes}.", payload)


def _record_edit(
    session: Session, actor: Actor, channel: Channel, before: ChannelEdit, after: ChannelEdit, now: datetime
) -> None:
    audit.record(
        session,
        actor,
        "channel.edited",
        ("channel", channel.id),
        now=now,
        app_id=channel.app_id,
        before={"name": channel.name, **_in_words(before)},
        after={"name": channel.name, **_in_words(after)},
    )


def _is_used(session: Session, channel: Channel) -> bool:
    """Return whether a release, an experiment or a proposal belongs to the channel."""
    tables = (Release, Experiment, Proposal)
    return any(session.scalar(select(exists().where(table.channel_id == channel.id))) for table in tables)


def _delete_row(session: Session, channel_id: int, name: str, seen: int) -> bool:
    statement = (
        delete_from(Channel).where(Channel.id == channel_id, Channel.revision == seen).returning(Channel.id)
    )
    try:
        with session.begin_nested():
            return session.scalar(statement, execution_options={"synchronize_session": False}) is not None
    except IntegrityError:  # Somebody published on it at the same moment.
        raise _has_history(name) from None


def _in_words(edit: ChannelEdit) -> dict[str, Any]:
    """Return an edit as the history shows it."""
    return {
        "falls_back_to": ", ".join(edit.falls_back_to) or "none",
        "approval_above": "none" if edit.approval_above is None else edit.approval_above,
    }


def _stale(channel: Channel) -> Stale:
    current = {
        "id": channel.id,
        "name": channel.name,
        "falls_back_to": list(edit_of(channel).falls_back_to),
        "approval_above": channel.approval_above,
        "is_shut_off": channel.is_shut_off,
        "revision": channel.revision,
    }
    return Stale(
        f"Somebody changed {channel.name} meanwhile. Look at what it is now, then decide again.",
        current=current,
    )


def _taken(app: App, name: str) -> Conflict:
    return Conflict("channel_taken", f"{app.name} already has a channel {name}.", field="name")


def _has_history(name: str) -> Conflict:
    return Conflict(
        "channel_has_history",
        f"{name} has a history: releases, experiments or proposals belong to it, so it stays. "
        "Shut it off instead.",
    )


def _unknown(channel_id: int) -> NotFound:
    return NotFound("unknown_channel", f"There is no channel with the id {channel_id}.")
