"""Logging in and out, and one's own password."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user

from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import transaction
from ota.errors import Forbidden, OtaError
from ota.parts import part
from ota.people import accounts
from ota.web.access import actor, page
from ota.web.forms import LoginForm, PasswordForm, show_error
from ota.web.frame import render_page
from ota.web.limits import LoginLimits

blueprint = Blueprint("account", __name__)


@blueprint.route("/login", methods=["GET", "POST"])
@page(Access.PUBLIC)
def login() -> ResponseReturnValue:
    """Show the form, or let somebody in."""
    form = LoginForm()
    if not form.validate_on_submit():
        return render_page("frame/login.html", form=form), 422 if form.errors else 200
    part(LoginLimits).note_try(request.remote_addr or "", form.email.data)
    try:
        with transaction() as writing:
            user = accounts.authenticate(
                writing, form.email.data, form.password.data, now=utcnow(), address=request.remote_addr
            )
    except Forbidden as error:
        show_error(form, error)
        return render_page("frame/login.html", form=form), 422
    session.clear()
    session.permanent = True
    login_user(user)
    return redirect(_own_address(request.args.get("next")), 303)


@blueprint.post("/logout")
@page(Access.VIEW)
def logout() -> ResponseReturnValue:
    """End all sessions of this person, also on other machines."""
    with transaction() as writing:
        accounts.end_sessions(writing, actor(), accounts.get(writing, current_user.id), now=utcnow())
    logout_user()
    session.clear()
    return redirect(url_for("account.login"), 303)


@blueprint.route("/account", methods=["GET", "POST"])
@page(Access.VIEW)
def settings() -> ResponseReturnValue:
    """Change one's own password; all other sessions end."""
    form = PasswordForm()
    if not form.validate_on_submit():
        return render_page("people/account.html", form=form), 422 if form.errors else 200
    try:
        with transaction() as writing:
            user = accounts.get(writing, current_user.id)
            accounts.change_password(
                writing, actor(), user, current=form.current.data, new=form.password.data, now=utcnow()
            )
    except OtaError as error:
        show_error(form, error)
        return render_page("people/account.html", form=form), 422
    login_user(user)
    flash("Your password is changed. Other sessions have ended.")
    return redirect(url_for("account.settings"), 303)


def _own_address(target: str | None) -> str:
    # Only a path on this server: an address elsewhere would send people to a look-alike after they logged in.
    try:
        parts = urlsplit(target or "")
    except ValueError:
        return url_for("admin_apps.home")
    is_own = (
        target is not None
        and not parts.scheme
        and not parts.netloc
        and target.startswith("/")
        and target[1:2] not in {"/", "\\"}
    )
    return target if is_own and target else url_for("admin_apps.home")
