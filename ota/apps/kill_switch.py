"""The kill switch: a whole app, or one of its channels, answers "no update" at once, and again offers what it did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota import catalogs
from ota.db import compare_and_set
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Channel


def shut_off(session: Session, actor: Actor, what: App | Channel, *, now: datetime) -> bool:
    """From now on the app's (or channel's) devices are offered nothing. False when it was so already, which is fine."""
    if not _set(session, what, True):
        return False
    if isinstance(what, App):
        audit.record(session, actor, "app.shut_off", ("app", what.id), now=now, app_id=what.id)
    else:
        after = {"name": what.name}
        audit.record(
            session, actor, "channel.shut_off", ("channel", what.id), now=now, app_id=what.app_id, after=after
        )
    return True


def turn_on(session: Session, actor: Actor, what: App | Channel, *, now: datetime) -> bool:
    """Offer again what stands. False when it was on already, which is fine."""
    if not _set(session, what, False):
        return False
    if isinstance(what, App):
        audit.record(session, actor, "app.turned_on", ("app", what.id), now=now, app_id=what.id)
    else:
        after = {"name": what.name}
        audit.record(
            session,
            actor,
            "channel.turned_on",
            ("channel", what.id),
            now=now,
            app_id=what.app_id,
            after=after,
        )
    return True


def channels_off(session: Session, app_id: int) -> Sequence[Channel]:
    """The app's channels that are shut off."""
    return session.scalars(
        select(Channel).where(Channel.app_id == app_id, Channel.is_shut_off).order_by(Channel.name)
    ).all()


def _set(session: Session, what: App | Channel, is_off: bool) -> bool:
    # Compared with the state alone and not with a revision: whoever shuts off in an emergency is never told to look again.
    kind: type[App] | type[Channel] = App if isinstance(what, App) else Channel
    what_id, app_id = what.id, what.id if isinstance(what, App) else what.app_id
    values = {"is_shut_off": is_off, "revision": kind.revision + 1}
    if not compare_and_set(session, kind, {"id": what_id}, {"is_shut_off": not is_off}, values):
        return False
    catalogs.touch(session, app_id)
    return True
