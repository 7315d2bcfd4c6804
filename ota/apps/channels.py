"""The channels of an app: making and changing them, what they fall back to, and their two-person rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import exists, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload, selectinload

from ota import catalogs
from ota.apps import fields
from ota.apps.two_person import Approval, NeedsApproval
from ota.core.channels import ChannelRule, circle, loosened
from ota.db import MAX_ID, compare_and_set
from ota.errors import Conflict, Invalid, NotFound, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Channel, Release, Upload
from ota.models.apps import channel_fallbacks
from ota.models.releases import Experiment, Proposal


@dataclass(frozen=True, slots=True)
class ChannelEdit:
    """What a channel is to be: the names of the channels it falls back to, and its two-person rule in basis points (None: none).

    `edit_of` answers what it is; replace in that what is to change.
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
    """A new channel. Raises `Invalid` for a name, a fallback or a rule that can't be, `Conflict` (``channel_taken``)."""
    name, above = fields.channel_name(name), fields.approval_above(approval_above)
    known = _locked(session, app.id)
    if name in known:
        raise _taken(app, name)
    targets = _targets(known, name, falls_back_to)
    channel = Channel(app_id=app.id, name=name, approval_above=above, created_at=now)
    try:
        with session.begin_nested():
            session.add(channel)
    except IntegrityError:
        raise _taken(app, name) from None
    channel.falls_back_to = targets
    session.flush()
    session.expire(app, ["channels"])
    after = {"name": name, **_told(ChannelEdit(tuple(each.name for each in targets), above))}
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
    """Change what a channel falls back to and its two-person rule.

    Raises `NeedsApproval` when that loosens a rule, of this channel or of one that follows it, and nobody has approved it;
    `Invalid` for a fallback or a rule that can't be (``circular_fallback`` shows the way), `Conflict` for a stale ``revision``.
    """
    channel_id, app_id, name = channel.id, channel.app_id, channel.name
    seen = channel.revision if revision is None else revision
    above = fields.approval_above(wanted.approval_above)
    known = _locked(session, app_id)
    if name not in known:
        raise _unknown(channel_id)
    targets = _targets(known, name, wanted.falls_back_to)
    _check_no_circle(session, known, channel_id, [each.id for each in targets])
    before = edit_of(channel)
    after = ChannelEdit(tuple(each.name for each in targets), above)
    if channel.revision != seen:
        raise stale(channel)  # Before anybody is asked to approve what could not be saved any more.
    if approval is None:
        _demand_approval(session, channel, before, after, seen)
    target_ids = [each.id for each in targets]
    if not compare_and_set(
        session,
        Channel,
        {"id": channel_id},
        {"revision": seen},
        {"approval_above": above, "revision": seen + 1},
    ):
        raise stale(channel)
    channel.falls_back_to = [session.get_one(Channel, each) for each in target_ids]
    session.flush()
    if before != after:
        audit.record(
            session,
            actor,
            "channel.edited",
            ("channel", channel_id),
            now=now,
            app_id=app_id,
            before={"name": name, **_told(before)},
            after={"name": name, **_told(after)},
        )
        catalogs.touch(session, app_id)
    return channel


def delete(
    session: Session, actor: Actor, channel: Channel, *, revision: int | None = None, now: datetime
) -> None:
    """Forget a channel on which nothing was ever released. Uploads that were meant for it are then meant for the default one.

    Raises `Conflict` for the default channel, one with a history, and one that others fall back to.
    """
    channel_id, app_id, name = channel.id, channel.app_id, channel.name
    seen = channel.revision if revision is None else revision
    _locked(session, app_id)
    if channel.is_default:
        raise Conflict(
            "default_channel",
            f"{name} is the default channel: devices that name none follow it, so it stays.",
        )
    followers = fallen_back_to_by(session, channel)
    if followers:
        names = ", ".join(each.name for each in followers)
        raise Conflict(
            "channel_in_use",
            f"{names} {_fall(len(followers))} back to {name}. Change that first, then delete it.",
        )
    if has_history(session, channel):
        raise _has_history(name)
    audit.record(
        session,
        actor,
        "channel.deleted",
        ("channel", channel_id),
        now=now,
        app_id=app_id,
        before={"name": name, **_told(edit_of(channel))},
    )
    session.execute(
        update(Upload).where(Upload.app_id == app_id, Upload.channel == name).values(channel=None)
    )
    session.execute(delete_from(channel_fallbacks).where(channel_fallbacks.c.channel_id == channel_id))
    if not _delete_row(session, channel_id, name, seen):
        raise stale(get(session, channel_id))
    session.expire_all()
    catalogs.touch(session, app_id)


def get(session: Session, channel_id: int, *, app: App | None = None) -> Channel:
    """Raises `NotFound`, also for a channel of another app than the given one."""
    query = (
        select(Channel)
        .where(Channel.id == channel_id)
        .options(joinedload(Channel.app), selectinload(Channel.falls_back_to))
    )
    channel = session.scalar(query) if channel_id <= MAX_ID else None
    if channel is None or (app is not None and channel.app_id != app.id):
        raise _unknown(channel_id)
    return channel


def of_app(session: Session, app: App) -> Sequence[Channel]:
    """The app's channels with what they fall back to, the default one first."""
    query = (
        select(Channel)
        .where(Channel.app_id == app.id)
        .options(joinedload(Channel.app), selectinload(Channel.falls_back_to))
    )
    return session.scalars(query.order_by(Channel.is_default.desc(), Channel.name)).all()


def edit_of(channel: Channel) -> ChannelEdit:
    """What the channel is now, in the form in which it is changed."""
    return ChannelEdit(tuple(sorted(each.name for each in channel.falls_back_to)), channel.approval_above)


def loosened_by(session: Session, channel: Channel, wanted: ChannelEdit) -> list[Channel]:
    """The channels whose two-person rule the edit would loosen: this one, or others that fall back to it.

    Raises `Invalid` for fallbacks that can't be.
    """
    known = {each.name: each for each in of_app(session, channel.app)}
    before = {each.id: _rule(each) for each in known.values()}
    ids = frozenset(each.id for each in _targets(known, channel.name, wanted.falls_back_to))
    after = {
        **before,
        channel.id: replace(before[channel.id], falls_back_to=ids, approval_above=wanted.approval_above),
    }
    found = loosened(before, after)
    return [each for each in known.values() if each.id in found]


def fallen_back_to_by(session: Session, channel: Channel) -> Sequence[Channel]:
    """The channels that fall back to this one."""
    query = select(Channel).join(channel_fallbacks, Channel.id == channel_fallbacks.c.channel_id)
    return session.scalars(
        query.where(channel_fallbacks.c.fallback_id == channel.id).order_by(Channel.name)
    ).all()


def has_history(session: Session, channel: Channel) -> bool:
    """Was anything ever released on it, compared on it, or proposed for it?"""
    tables = (Release, Experiment, Proposal)
    return any(session.scalar(select(exists().where(table.channel_id == channel.id))) for table in tables)


def summary(channel: Channel) -> dict[str, Any]:
    """The present state in a few fields, for a conflict's ``current``."""
    return {
        "id": channel.id,
        "name": channel.name,
        "falls_back_to": list(edit_of(channel).falls_back_to),
        "approval_above": channel.approval_above,
        "is_shut_off": channel.is_shut_off,
        "revision": channel.revision,
    }


def stale(channel: Channel) -> Conflict:
    """The error for an edit of something that is no longer there."""
    return Stale(
        f"Somebody changed {channel.name} meanwhile. Look at what it is now, then decide again.",
        current=summary(channel),
    )


def _demand_approval(
    session: Session, channel: Channel, before: ChannelEdit, after: ChannelEdit, seen: int
) -> None:
    """Under the old rule: whoever loosens it, here or where it is followed, needs another person."""
    loose = loosened_by(session, channel, after)
    if loose:
        was, told = _told(before), _told(after)
        changed = ", ".join(
            f"{field.replace('_', ' ')} {told[field]} instead of {was[field]}"
            for field in told
            if told[field] != was[field]
        )
        payload = {"channel_id": channel.id, "changes": after, "revision": seen}
        raise NeedsApproval("channel", loose[0], f"Change the channel {channel.name}: {changed}.", payload)


def _locked(session: Session, app_id: int) -> dict[str, Channel]:
    """The app's channels by name, as they are now; until the end of the transaction nobody else changes them.

    Two people who save the two halves of a circle wait here for each other: each half alone would be fine.
    """
    session.flush()
    query = (
        select(Channel)
        .where(Channel.app_id == app_id)
        .order_by(Channel.id)
        .options(selectinload(Channel.falls_back_to))
    )
    # Weaker than an ordinary lock, so that publishing on a channel need not wait.
    query = query.with_for_update(key_share=True, of=Channel).execution_options(populate_existing=True)
    return {channel.name: channel for channel in session.scalars(query)}


def _targets(known: dict[str, Channel], name: str, wanted: Sequence[str]) -> list[Channel]:
    names = sorted(set(wanted))
    if name in names:
        raise _circular([name, name])
    unknown = next((each for each in names if each not in known), None)
    if unknown is not None:
        there = ", ".join(sorted(set(known) - {name})) or "none besides it"
        raise Invalid.about(
            "falls_back_to",
            "unknown_fallback",
            f"the app has no channel '{unknown[:40]}'. Those it has: {there}.",
        )
    return [known[each] for each in names]


def _check_no_circle(
    session: Session, known: dict[str, Channel], channel_id: int, targets: Sequence[int]
) -> None:
    app_id = next(iter(known.values())).app_id
    way = circle(channel_id, {**catalogs.fallbacks(session, app_id), channel_id: targets})
    if way:
        names = {channel.id: channel.name for channel in known.values()}
        raise _circular([names[each] for each in way])


def _circular(way: Sequence[str]) -> Invalid:
    return Invalid.about(
        "falls_back_to",
        "circular_fallback",
        f"{way[0]} would fall back to itself ({' -> '.join(way)}). Leave one of these steps out.",
        way=list(way),
    )


def _delete_row(session: Session, channel_id: int, name: str, seen: int) -> bool:
    statement = (
        delete_from(Channel).where(Channel.id == channel_id, Channel.revision == seen).returning(Channel.id)
    )
    try:
        with session.begin_nested():
            return session.scalar(statement, execution_options={"synchronize_session": False}) is not None
    except IntegrityError:  # Somebody published on it at the same moment.
        raise _has_history(name) from None


def _rule(channel: Channel) -> ChannelRule:
    return ChannelRule(frozenset(each.id for each in channel.falls_back_to), channel.approval_above)


def _told(wanted: ChannelEdit) -> dict[str, Any]:
    return {
        "falls_back_to": ", ".join(wanted.falls_back_to) or "none",
        "approval_above": "none" if wanted.approval_above is None else wanted.approval_above,
    }


def _taken(app: App, name: str) -> Conflict:
    return Conflict("channel_taken", f"{app.name} already has a channel {name}.", field="name")


def _has_history(name: str) -> Conflict:
    return Conflict(
        "channel_has_history",
        f"{name} has a history: releases, experiments or proposals belong to it, so it stays. Shut it off instead.",
    )


def _unknown(channel_id: int) -> NotFound:
    return NotFound("unknown_channel", f"There is no channel with the id {channel_id}.")


def _fall(count: int) -> str:
    return "falls" if count == 1 else "fall"
