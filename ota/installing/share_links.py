"""Share links: addresses of an app's install page that expire and can be revoked.

The address of a link is its signed id. On every request, the row decides whether it still opens the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Update, select, update
from sqlalchemy.orm import Session, joinedload

from ota.core.install_access import InstallAccess
from ota.db import MAX_ID, compare_and_set
from ota.errors import Gone, Invalid, NotFound, OtaError
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, ShareLink
from ota.people import passwords

MIN_PASSWORD = 6
MAX_DAYS = 365
DEFAULT_DAYS = 30
_MAX_NAME = 80


class ShareState(StrEnum):
    """The state of a link at a given time."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


def create(
    session: Session,
    actor: Actor,
    app: App,
    *,
    name: str,
    days: int = DEFAULT_DAYS,
    password: str | None = None,
    now: datetime,
) -> ShareLink:
    """Add a link that expires after ``days``. Raises `Invalid` for a malformed name, lifetime or password."""
    link = ShareLink(
        app_id=app.id,
        name=_name(name),
        expires_at=now + _lifetime(days),
        password_hash=passwords.hashed(password, at_least=MIN_PASSWORD) if password else None,
        created_at=now,
        created_by=actor.label,
    )
    session.add(link)
    session.flush()
    after = {"name": link.name, "days": days, "password": bool(password)}
    audit.record(session, actor, "share.created", ("share", link.id), now=now, app_id=app.id, after=after)
    return link


def revoke(session: Session, actor: Actor, link: ShareLink, *, now: datetime) -> None:
    """Close a link from the next request on. Revoking it again has no effect."""
    link_id, app_id, name = link.id, link.app_id, link.name
    if compare_and_set(session, ShareLink, {"id": link_id}, {"revoked_at": None}, {"revoked_at": now}):
        audit.record(
            session, actor, "share.revoked", ("share", link_id), now=now, app_id=app_id, before={"name": name}
        )


def get(session: Session, link_id: int, *, app: App | None = None) -> ShareLink:
    """Return a link to manage it. Raises `NotFound`, also for a link of another app than the given one."""
    link = session.get(ShareLink, link_id) if link_id <= MAX_ID else None
    if link is None or (app is not None and link.app_id != app.id):
        raise NotFound("unknown_share", f"There is no share link with the id {link_id}.")
    return link


def of_app(session: Session, app: App, *, limit: int = 200, offset: int = 0) -> Sequence[ShareLink]:
    """Return the app's links: those that are not revoked first, and the newest of them first."""
    query = select(ShareLink).where(ShareLink.app_id == app.id).options(joinedload(ShareLink.app))
    return session.scalars(
        query.order_by(ShareLink.revoked_at.is_not(None), ShareLink.id.desc()).limit(limit).offset(offset)
    ).all()


def open_link(session: Session, slug: str, link_id: int | None, *, now: datetime) -> ShareLink:
    """Return the link of a visitor, if it opens the page of the app with this slug. None stands for a forged
    address.

    Raises `NotFound` or `Gone` with a message that tells the visitor what to do.
    """
    link = session.get(ShareLink, link_id) if link_id is not None and link_id <= MAX_ID else None
    if link is None or link.app.slug != slug:
        raise NotFound(
            "unknown_share",
            "This link was cut off on its way, or was not made by this server. "
            "Ask whoever sent it to send it again.",
        )
    ended = _why_ended(link, now)
    if ended is not None:
        raise ended
    if link.app.install_access == InstallAccess.OFF:
        raise NotFound(
            "install_off",
            "The link is right, but installing this app is switched off at the moment. Ask whoever sent it.",
        )
    return link


def state_of(link: ShareLink, now: datetime) -> ShareState:
    """Return the link's state."""
    if link.revoked_at is not None:
        return ShareState.REVOKED
    return ShareState.EXPIRED if link.expires_at <= now else ShareState.ACTIVE


def opens_with(link: ShareLink, password: str) -> bool:
    """Return whether this is the link's password. A link without a password opens with any."""
    return link.password_hash is None or passwords.matches(link.password_hash, password)


def count_view(session: Session, link_id: int) -> None:
    """Count one display of the page."""
    _count(session, update(ShareLink).where(ShareLink.id == link_id).values(views=ShareLink.views + 1))


def count_download(session: Session, link_id: int) -> None:
    """Count one installation that was begun."""
    _count(
        session, update(ShareLink).where(ShareLink.id == link_id).values(downloads=ShareLink.downloads + 1)
    )


def _name(text: str) -> str:
    name = "".join(character for character in text if character.isprintable()).strip()
    if not 1 <= len(name) <= _MAX_NAME:
        raise Invalid(
            "bad_name",
            f"A link needs a name of 1 to {_MAX_NAME} characters that says whom it is for.",
            field="name",
        )
    return name


def _lifetime(days: int) -> timedelta:
    if not 1 <= days <= MAX_DAYS:
        raise Invalid("bad_lifetime", f"A link lives 1 to {MAX_DAYS} days.", field="days")
    return timedelta(days=days)


def _why_ended(link: ShareLink, now: datetime) -> OtaError | None:
    match state_of(link, now):
        case ShareState.REVOKED:
            return Gone(
                "share_revoked", "The people who made this link have taken it back. Ask them for a new one."
            )
        case ShareState.EXPIRED:
            until = f"{link.expires_at:%Y-%m-%d %H:%M} UTC"
            return Gone(
                "share_expired", f"This link was good until {until}. Ask whoever sent it for a new one."
            )
    return None


def _count(session: Session, statement: Update) -> None:
    # The database adds up, so that no count of two simultaneous visitors is lost.
    session.execute(statement, execution_options={"synchronize_session": False})
