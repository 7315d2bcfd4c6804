"""API tokens: 256 random bits, shown once, stored as a hash."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from ota.core.permissions import Access, Role, lower_of, may
from ota.db import MAX_ID
from ota.errors import Forbidden, Invalid, NotFound, Unauthenticated
from ota.history import audit
from ota.history.audit import Actor
from ota.models import ApiToken, User

PREFIX = "ota_"
_USE_IS_NOTED_EVERY = timedelta(minutes=1)


def create(
    session: Session,
    actor: Actor,
    user: User,
    *,
    name: str,
    role: Role,
    now: datetime,
    lifetime_days: int | None = None,
    secret: str | None = None,
) -> tuple[ApiToken, str]:
    """Create a token. Return it with its secret, which cannot be read again.

    ``secret`` is the operator's choice from the settings; otherwise it is random. Raises `Invalid` for an
    unusable name or lifetime, and `Forbidden` for a role above the owner's.
    """
    name = name.strip()
    _demand_allowed(name, lifetime_days, role, user)
    secret = secret or PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        name=name,
        prefix=secret[:10],
        token_hash=_hash(secret),
        role=role,
        user_id=user.id,
        created_at=now,
        expires_at=now + timedelta(days=lifetime_days) if lifetime_days else None,
    )
    session.add(token)
    session.flush()
    audit.record(
        session, actor, "token.created", ("token", token.id), now=now, after={"name": name, "role": role}
    )
    return token, secret


def authenticate(session: Session, secret: str, *, now: datetime) -> ApiToken:
    """Return the usable token with this secret. Raises `Unauthenticated`, the same for every failure.

    The lookup uses the hash of the secret, so its time reveals nothing about stored secrets.
    """
    query = select(ApiToken).options(joinedload(ApiToken.user)).where(ApiToken.token_hash == _hash(secret))
    token = session.scalar(query)
    if token is None or not token.is_usable(now):
        raise Unauthenticated(
            "bad_token", "The token is unknown, revoked or expired. Make a new one under Tokens in the admin."
        )
    return token


def effective_role(token: ApiToken) -> Role:
    """Return the token's role, or its owner's role if that is lower."""
    return lower_of(Role(token.role), Role(token.user.role))


def needs_note_of_use(token: ApiToken, now: datetime) -> bool:
    """Return whether the time of the token's last use is due to be updated."""
    return token.last_used_at is None or now - token.last_used_at > _USE_IS_NOTED_EVERY


def note_use(session: Session, token_id: int, *, now: datetime) -> None:
    """Set the time of the token's last use, if the token still exists."""
    token = session.get(ApiToken, token_id)
    if token is not None:
        token.last_used_at = now


def revoke(session: Session, actor: Actor, token_id: int, *, now: datetime) -> ApiToken:
    """Stop a token from the next request on. Does nothing if it is revoked already.

    Raises `NotFound`, also for callers who are neither its owner nor an administrator.
    """
    token = session.get(ApiToken, token_id) if token_id <= MAX_ID else None
    if token is None or (token.user_id != actor.user_id and not may(actor.role, Access.ADMIN)):
        raise NotFound("unknown_token", "There is no such token.")
    if token.revoked_at is None:
        token.revoked_at = now
        audit.record(
            session, actor, "token.revoked", ("token", token.id), now=now, before={"name": token.name}
        )
    return token


def visible_to(session: Session, user: User) -> Sequence[ApiToken]:
    """Return the person's tokens, or all tokens if the person is an administrator. Usable ones first."""
    query = (
        select(ApiToken)
        .options(joinedload(ApiToken.user))
        .order_by(ApiToken.revoked_at.is_not(None), ApiToken.id.desc())
    )
    if not may(Role(user.role), Access.ADMIN):
        query = query.where(ApiToken.user_id == user.id)
    return session.scalars(query).all()


def _demand_allowed(name: str, lifetime_days: int | None, role: Role, user: User) -> None:
    """Raise `Invalid` or `Forbidden` for a token that cannot be created."""
    if not 1 <= len(name) <= 80:
        raise Invalid(
            "bad_name", "A token needs a name of 1 to 80 characters that says what uses it.", field="name"
        )
    if lifetime_days is not None and not 1 <= lifetime_days <= 3650:
        raise Invalid("bad_lifetime", "A token lives 1 to 3650 days.", field="lifetime_days")
    if lower_of(role, Role(user.role)) is not role:
        raise Forbidden("role_too_high", "A token can't be trusted with more than its owner.")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
