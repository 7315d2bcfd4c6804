"""Prepare a new installation: tables, a first administrator, a token, an app."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import text

from ota.apps import apps
from ota.clock import utcnow
from ota.config import Settings
from ota.core.permissions import Role
from ota.db import db, transaction
from ota.history.audit import SYSTEM
from ota.people import accounts, tokens

_PREPARATION_LOCK = 0x07A_07A


@dataclass(frozen=True, slots=True)
class FirstAccess:
    """First administrator's access, printed once. A field is None if the operator set the value."""

    email: str
    password: str | None
    token: str | None


def prepare(app: Flask, settings: Settings) -> FirstAccess | None:
    """Migrate the database and create the first administrator if there is no account. Safe at every start."""
    with app.app_context(), _one_at_a_time():
        upgrade()
        return _first_access(settings)


def migrate_database() -> None:
    """Run the migrations."""
    with _one_at_a_time():
        upgrade()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let one of several servers that start on one PostgreSQL prepare it. A SQLite file has one server."""
    if db.engine.dialect.name != "postgresql":
        yield
        return
    with db.engine.connect() as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _PREPARATION_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _PREPARATION_LOCK})
            connection.invalidate()  # It has no time limit, so it must not return to the pool.


def _first_access(settings: Settings) -> FirstAccess | None:
    with transaction() as session:
        if accounts.has_any(session):
            return None
        now = utcnow()
        password = settings.admin_password or secrets.token_urlsafe(12)
        user = accounts.create(
            session, SYSTEM, email=settings.admin_email, password=password, role=Role.ADMIN, now=now
        )
        _, secret = tokens.create(
            session,
            SYSTEM,
            user,
            name="first token",
            role=Role.ADMIN,
            now=now,
            secret=settings.admin_token or None,
        )
        apps.create(session, SYSTEM, slug="my-app", name="My app", now=now)
    return FirstAccess(
        email=user.email,
        password=None if settings.admin_password else password,
        token=None if settings.admin_token else secret,
    )
