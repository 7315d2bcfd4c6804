"""What the channels of an app fall back to, without circles and without bypassing a two-person rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from ota import catalogs
from ota.core.channels import ChannelRule, circle, loosened
from ota.errors import Invalid
from ota.models import Channel
from ota.models.apps import channel_fallbacks


def followers(session: Session, channel: Channel) -> Sequence[Channel]:
    """Return the channels that fall back to this one, by name."""
    query = select(Channel).join(channel_fallbacks, Channel.id == channel_fallbacks.c.channel_id)
    return session.scalars(
        query.where(channel_fallbacks.c.fallback_id == channel.id).order_by(Channel.name)
    ).all()


def lock(session: Session, app_id: int) -> dict[str, Channel]:
    """Read the app's channels again and lock them until the end of the transaction. Return them by name.

    Each half of a circle is allowed alone, so two people who save one half each have to take turns here.
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


def targets(known: Mapping[str, Channel], name: str, wanted: Collection[str]) -> list[Channel]:
    """Return the wanted fallbacks of the channel ``name``, by name.

    Raises `Invalid` for the channel itself (``circular_fallback``) and for one that is not in ``known``
    (``unknown_fallback``).
    """
    names = sorted(set(wanted))
    if name in names:
        raise _circular([name, name])
    unknown = next((each for each in names if each not in known), None)
    if unknown is not None:
        others = ", ".join(sorted(set(known) - {name})) or "none besides it"
        raise Invalid.about(
            "falls_back_to",
            "unknown_fallback",
            f"the app has no channel '{unknown[:40]}'. Those it has: {others}.",
        )
    return [known[each] for each in names]


def check_no_circle(
    session: Session, known: Mapping[str, Channel], channel: Channel, fallbacks: Sequence[int]
) -> None:
    """Raise `Invalid` (``circular_fallback``) if the channel would fall back to itself.

    The error's ``way`` lists the steps.
    """
    steps = circle(channel.id, {**catalogs.fallbacks(session, channel.app_id), channel.id: fallbacks})
    if steps:
        names = {each.id: each.name for each in known.values()}
        raise _circular([names[each] for each in steps])


def loosened_by(
    known: Mapping[str, Channel], channel: Channel, falls_back_to: Collection[str], approval_above: int | None
) -> list[Channel]:
    """Return the channels whose two-person rule an edit of ``channel`` would loosen: itself or its followers.

    ``known`` are all channels of the app by name, before the edit. Raises `Invalid` like `targets`.
    """
    before = {each.id: _rule(each) for each in known.values()}
    wanted = frozenset(each.id for each in targets(known, channel.name, falls_back_to))
    edited = replace(before[channel.id], falls_back_to=wanted, approval_above=approval_above)
    found = loosened(before, {**before, channel.id: edited})
    return [each for each in known.values() if each.id in found]


def _rule(channel: Channel) -> ChannelRule:
    return ChannelRule(frozenset(each.id for each in channel.falls_back_to), channel.approval_above)


def _circular(steps: Sequence[str]) -> Invalid:
    return Invalid.about(
        "falls_back_to",
        "circular_fallback",
        f"{steps[0]} would fall back to itself ({' -> '.join(steps)}). Leave one of these steps out.",
        way=list(steps),
    )
