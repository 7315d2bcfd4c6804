"""People: login, passwords, roles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.core.permissions import Role
from ota.db import MAX_ID
from ota.errors import Conflict, Forbidden, Invalid, NotFound
from ota.history import audit
from ota.history.audit import Actor
from ota.models import User
from ota.people import passwords

MIN_PASSWORD = 10

# Verified if the account is unknown, so that the answer takes as long as for a known one.
_DUMMY_HASH = passwords.hashed("no such account", at_least=MIN_PASSWORD)


def authenticate(session: Session, email: str, password: str, *, now: datetime, address: str | None) -> User:
    """Return the person with this address and password. Raises `Forbidden`, the same for every failure."""
    user = session.scalar(select(User).where(User.email == _normal(email)))
    matches = passwords.matches(user.password_hash if user else _DUMMY_HASH, password)
    if user is None or not matches or not user.is_enabled:
        raise Forbidden("wrong_login", "The e-mail address or the password is wrong.")
    if passwords.is_outdated(user.password_hash):
        user.password_hash = passwords.hashed(password, at_least=1)
    user.last_login_at = now
    actor = Actor(label=user.email, role=Role(user.role), user_id=user.id, address=address)
    audit.record(session, actor, "user.logged_in", ("user", user.id), now=now)
    return user


def create(session: Session, actor: Actor, *, email: str, password: str, role: Role, now: datetime) -> User:
    """Create a person.

    Raises `Invalid` for an unusable address or password, `Conflict` for a taken address.
    """
    email = _normal(email)
    if len(email) > 254 or not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise Invalid("bad_email", "Expected an e-mail address such as name@example.com.", field="email")
    if session.scalar(select(User.id).where(User.email == email)) is not None:
        raise Conflict("email_taken", f"{email} already has an account.", field="email")
    user = User(
        email=email,
        password_hash=_hash(password),
        role=role,
        is_enabled=True,
        session_epoch=0,
        created_at=now,
    )
    session.add(user)
    session.flush()
    audit.record(
        session, actor, "user.created", ("user", user.id), now=now, after={"email": email, "role": role}
    )
    return user


def change_password(
    session: Session, actor: Actor, user: User, *, current: str, new: str, now: datetime
) -> None:
    """Change the person's own password and end all sessions.

    Raises `Invalid` if ``current`` does not match.
    """
    if not passwords.matches(user.password_hash, current):
        raise Invalid("wrong_password", "The current password is wrong.", field="current")
    _set_password(session, actor, user, new, now)


def reset_password(session: Session, actor: Actor, email: str, new: str, *, now: datetime) -> User:
    """Set a new password without the current one.

    For the command line, where the operator owns the machine.
    """
    user = find(session, email)
    _set_password(session, actor, user, new, now)
    return user


def set_role(session: Session, actor: Actor, user: User, role: Role, *, now: datetime) -> None:
    """Change a person's role and end their sessions.

    Raises `Forbidden` for the own role, and `Conflict` for the last enabled administrator.
    """
    _refuse_self(actor, user)
    if user.role == role:
        return
    if user.role == Role.ADMIN:
        _refuse_last_admin(session, user)
    audit.record(
        session,
        actor,
        "user.role_changed",
        ("user", user.id),
        now=now,
        before={"role": user.role},
        after={"role": role},
    )
    user.role = role
    user.session_epoch += 1


def set_enabled(session: Session, actor: Actor, user: User, is_enabled: bool, *, now: datetime) -> None:
    """Enable or disable an account. Disabling ends its sessions and stops its tokens at once.

    Raises `Forbidden` for the own account, and `Conflict` for the last enabled administrator.
    """
    _refuse_self(actor, user)
    if user.is_enabled == is_enabled:
        return
    if not is_enabled and user.role == Role.ADMIN:
        _refuse_last_admin(session, user)
    user.is_enabled = is_enabled
    user.session_epoch += 1
    audit.record(
        session, actor, "user.enabled" if is_enabled else "user.disabled", ("user", user.id), now=now
    )


def end_sessions(session: Session, actor: Actor, user: User, *, now: datetime) -> None:
    """Log a person out on all machines."""
    user.session_epoch += 1
    audit.record(session, actor, "user.logged_out", ("user", user.id), now=now)


def get(session: Session, user_id: int) -> User:
    """Return the person with this id. Raises `NotFound`."""
    user = session.get(User, user_id) if user_id <= MAX_ID else None
    if user is None:
        raise NotFound("unknown_user", "There is no such person.")
    return user


def find(session: Session, email: str) -> User:
    """Return the person with this address. Raises `NotFound`."""
    user = session.scalar(select(User).where(User.email == _normal(email)))
    if user is None:
        raise NotFound("unknown_user", f"Nobody has the address {email}.")
    return user


def everybody(session: Session) -> Sequence[User]:
    """Return all people, ordered by address."""
    return session.scalars(select(User).order_by(User.email)).all()


def has_any(session: Session) -> bool:
    """Return whether there is an account."""
    return session.scalar(select(User.id).limit(1)) is not None


def _set_password(session: Session, actor: Actor, user: User, new: str, now: datetime) -> None:
    user.password_hash = _hash(new)
    user.session_epoch += 1
    audit.record(session, actor, "user.password_changed", ("user", user.id), now=now)


def _hash(password: str) -> str:
    return passwords.hashed(password, at_least=MIN_PASSWORD)


def _refuse_self(actor: Actor, user: User) -> None:
    if actor.user_id == user.id:
        raise Forbidden(
            "own_role", "Nobody changes their own role or locks themselves out. Ask another administrator."
        )


def _refuse_last_admin(session: Session, user: User) -> None:
    # Locked, so that two administrators cannot remove each other's role at the same moment.
    admins = (
        select(User.id).where(User.role == Role.ADMIN, User.is_enabled).order_by(User.id).with_for_update()
    )
    if not set(session.scalars(admins)) - {user.id}:
        raise Conflict("last_admin", "This is the last administrator. Make somebody else one first.")


def _normal(email: str) -> str:
    return email.strip().lower()
