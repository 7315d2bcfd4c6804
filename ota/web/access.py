"""Access control: who calls, and what the role allows. A route that declares no access is closed."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar, cast

from flask import Flask, Response, current_app, g, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from flask_login import LoginManager, current_user
from flask_wtf.csrf import CSRFProtect

from ota.clock import utcnow
from ota.core.permissions import Access, Role, may
from ota.db import reader, transaction
from ota.errors import Forbidden, NotFound, Unauthenticated
from ota.history.audit import Actor
from ota.models import User
from ota.people import tokens

View = TypeVar("View", bound=Callable[..., Any])

csrf = CSRFProtect()
login_manager = LoginManager()


class Caller(Enum):
    """How the caller of a route is identified."""

    ANYONE = "anyone"
    TOKEN = "token"  # noqa: S105  Not a secret: Authorization: Bearer.
    SESSION = "session"


class LoginNeeded(Unauthenticated):
    """A page that needs a login was requested without one."""


class PagesOnlySessions(SecureCookieSessionInterface):
    """Sets cookies on pages only: answers to devices and programs neither set one nor vary by one."""

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save the session, unless the route is for devices or programs."""
        view = app.view_functions.get(request.endpoint or "")
        _, caller = getattr(view, "__access__", (None, Caller.SESSION))
        if caller is Caller.SESSION:
            super().save_session(app, session, response)


def declare(access: Access, caller: Caller) -> Callable[[View], View]:
    """Mark a view with the access that it requires."""

    def mark(view: View) -> View:
        view.__access__ = (access, caller)  # type: ignore[attr-defined]
        return view

    return mark


def page(access: Access) -> Callable[[View], View]:
    """Mark a view as a page for people who are logged in. Forged forms are refused."""
    return declare(access, Caller.SESSION)


def init_app(app: Flask) -> None:
    """Check every request before its view runs."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False  # Checked below, once the caller is known.
    app.config["WTF_CSRF_TIME_LIMIT"] = None  # Bound to the session, so that a page can stay open for hours.
    app.session_interface = PagesOnlySessions()
    csrf.init_app(app)
    login_manager.init_app(app)
    login_manager.user_loader(_load_user)
    app.view_functions["static"] = declare(Access.PUBLIC, Caller.ANYONE)(app.view_functions["static"])
    app.before_request(authorize)


def authorize() -> None:
    """Deny by default, and set the actor for the view. Raises `Unauthenticated` or `Forbidden`."""
    if "\0" in request.path or any("\0" in value for values in request.args.listvalues() for value in values):
        raise NotFound("not_found", "There is nothing at this address.")
    if request.endpoint is None:
        return  # No route: the 404 that follows needs no permission.
    view = current_app.view_functions[request.endpoint]
    declared = cast("tuple[Access, Caller] | None", getattr(view, "__access__", None))
    if declared is None:
        raise Forbidden("undeclared", "This address is closed: it declares nobody who may use it.")
    access, caller = declared
    if caller is Caller.TOKEN:
        _by_token(access)
        # The body can take minutes to arrive: hold no database connection meanwhile.
        reader().rollback()
    elif caller is Caller.SESSION:
        _by_session(access)


def actor() -> Actor:
    """Return the author of this request's acts."""
    return cast(Actor, g.actor)


def _by_token(access: Access) -> None:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated(
            "token_missing", "This needs an API token: send it in the header Authorization: Bearer <token>."
        )
    now = utcnow()
    token = tokens.authenticate(reader(), secret.strip(), now=now)
    role = tokens.effective_role(token)
    g.actor = Actor(
        label=f"{token.user.email} ({token.name})"[:254],
        role=role,
        user_id=token.user_id,
        address=request.remote_addr,
    )
    token_id = token.id
    if tokens.needs_note_of_use(token, now):
        with transaction() as session:
            tokens.note_use(session, token_id, now=now)
    _demand(role, access)


def _by_session(access: Access) -> None:
    if access is not Access.PUBLIC:
        if not current_user.is_authenticated:
            raise LoginNeeded("login_needed", "Log in first.")
        role = Role(current_user.role)
        g.actor = Actor(
            label=current_user.email, role=role, user_id=current_user.id, address=request.remote_addr
        )
        _demand(role, access)
        reader().rollback()
    if request.method not in {"GET", "HEAD", "OPTIONS"}:
        csrf.protect()


def _demand(role: Role, access: Access) -> None:
    if not may(role, access):
        raise Forbidden("not_allowed", f"Your role is {role}, which may not do this. Ask an administrator.")


def _load_user(session_id: str) -> User | None:
    user_id, _, epoch = session_id.partition(":")
    if not (user_id.isdigit() and epoch.isdigit()):
        return None
    user = reader().get(User, int(user_id))
    is_current = user is not None and user.is_enabled and user.session_epoch == int(epoch)
    return user if is_current else None
