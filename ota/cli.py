"""Commands for the operator, ``flask --app app <command>``, and the text that the start prints."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING

import click
from flask import Flask

from ota.bootstrap import FirstAccess, migrate_database
from ota.bootstrap import prepare as prepare_installation
from ota.clock import utcnow
from ota.config import Settings
from ota.core.permissions import Role
from ota.db import transaction
from ota.errors import OtaError
from ota.history.audit import SYSTEM
from ota.parts import part
from ota.people import accounts, tokens

if TYPE_CHECKING:
    from collections.abc import Callable

ROLES = click.Choice([role.value for role in Role])


def init_app(app: Flask) -> None:
    """Register the commands."""
    for command in (prepare, create_user, reset_password, create_token):
        app.cli.add_command(command)


def print_welcome(settings: Settings, first: FirstAccess | None) -> None:
    """Print the server's address and, at the first start only, the first administrator's access."""
    lines = ["", f"  Serving on {settings.public_url} (API documentation: {settings.public_url}/docs)"]
    if first is not None:
        lines += ["", "  First administrator. This is shown once:", f"    e-mail    {first.email}"]
        lines += [f"    password  {first.password or 'the one in OTA_ADMIN_PASSWORD'}"]
        lines += [f"    API token {first.token or 'the one in OTA_ADMIN_TOKEN'}"]
    if not settings.base_url and settings.host not in {"127.0.0.1", "localhost", "::1"}:
        lines += [
            "",
            "  OTA_BASE_URL is not set: devices would be sent to the address above. "
            "Set it to the public one.",
        ]
    print("\n".join([*lines, ""]), flush=True)


@click.command("prepare")
def prepare() -> None:
    """Migrate the database and create the first administrator, as the start does."""
    from flask import current_app

    settings = part(Settings)
    print_welcome(settings, prepare_installation(current_app._get_current_object(), settings))  # type: ignore[attr-defined]


@click.command("create-user")
@click.argument("email")
@click.option("--role", type=ROLES, default=Role.VIEWER.value, show_default=True)
def create_user(email: str, role: str) -> None:
    """Create a person with a new password, which is printed once."""
    password = secrets.token_urlsafe(12)

    def act() -> None:
        with transaction() as session:
            accounts.create(session, SYSTEM, email=email, password=password, role=Role(role), now=utcnow())

    _run(act)
    click.echo(f"{email} may log in with the password {password}")


@click.command("reset-password")
@click.argument("email")
def reset_password(email: str) -> None:
    """Give a person a new password, which is printed once. Their sessions end."""
    password = secrets.token_urlsafe(12)

    def act() -> None:
        with transaction() as session:
            accounts.reset_password(session, SYSTEM, email, password, now=utcnow())

    _run(act)
    click.echo(f"{email} may log in with the password {password}")


@click.command("create-token")
@click.argument("email")
@click.argument("name")
@click.option("--role", type=ROLES, default=Role.PUBLISHER.value, show_default=True)
@click.option("--days", type=int, default=None, help="Days until it expires. Without it, it never expires.")
def create_token(email: str, name: str, role: str, days: int | None) -> None:
    """Create an API token for a person. It is printed once."""
    secret = ""

    def act() -> None:
        nonlocal secret
        with transaction() as session:
            owner = accounts.find(session, email)
            _, secret = tokens.create(
                session, SYSTEM, owner, name=name, role=Role(role), now=utcnow(), lifetime_days=days
            )

    _run(act)
    click.echo(secret)


def _run(act: Callable[[], None]) -> None:
    migrate_database()
    try:
        act()
    except OtaError as error:
        click.echo(error.message, err=True)
        sys.exit(1)
