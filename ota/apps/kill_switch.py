"""The kill switch: a whole app, or one of its channels, answers "no update" until it is turned on again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota import catalogs
from ota.core.lifecycle import ReleaseState
from ota.db import compare_and_set
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Channel, Release


def shut_off(session: Session, actor: Actor, what: App | Channel, *, now: datetime) -> bool:
    """Offer nothing to the devices of an app or channel. Return False if it was shut off already."""
    action = "app.shut_off" if isinstance(what, App) else "channel.shut_off"
    return _switch(session, actor, what, action, is_off=True, now=now)


def turn_on(session: Session, actor: Actor, what: App | Channel, *, now: datetime) -> bool:
    """Offer the live releases of an app or channel again. Return False if it was turned on already."""
    action = "app.turned_on" if isinstance(what, App) else "channel.turned_on"
    return _switch(session, actor, what, action, is_off=False, now=now)


def channels_off(session: Session, app_id: int) -> Sequence[Channel]:
    """Return the app's channels that are shut off, by name."""
    return session.scalars(
        select(Channel).where(Channel.app_id == app_id, Channel.is_shut_off).order_by(Channel.name)
    ).all()


def affected(app: App, channel: Channel | None, live: Iterable[Release], *, now: datetime) -> list[Release]:
    """Return those of the ``live`` releases that devices get or lose by a switch of the channel or the app.

    A switch changes nothing for a release that the other switch keeps from devices.
    """
    offered = [each for each in live if each.state == ReleaseState.ACTIVE and each.starts_at <= now]
    if channel is None:
        return [each for each in offered if not each.channel.is_shut_off]
    return [each for each in offered if each.channel_id == channel.id and not app.is_shut_off]


def _switch(
    session: Session, actor: Actor, what: App | Channel, action: str, *, is_off: bool, now: datetime
) -> bool:
    kind: type[App] | type[Channel] = App if isinstance(what, App) else Channel
    app_id = what.id if isinstance(what, App) else what.app_id
    values = {"is_shut_off": is_off, "revision": kind.revision + 1}
    # Compared with the state and not with a revision: nobody should have to look again in an emergency.
    if not compare_and_set(session, kind, {"id": what.id}, {"is_shut_off": not is_off}, values):
        return False
    catalogs.touch(session, app_id)
    subject = "app" if isinstance(what, App) else "channel"
    after = {"name": what.name} if isinstance(what, Channel) else None
    audit.record(session, actor, action, (subject, what.id), now=now, app_id=app_id, after=after)
    return True
