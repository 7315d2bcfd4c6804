"""Pages for login, logout, and the own password."""

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
    """Show the login form, or log a person in."""
    form = LoginForm()
    if not form.validate_on_submit():
        return render_page("frame/login.html", form=form), 422 if form.errors else 200
    address, email = request.remote_addr, form.email.data
    part(LoginLimits).note_try(address or "", email)
    try:
        with transaction() as writing:
            user = accounts.authenticate(writing, email, form.password.data, now=utcnow(), address=address)
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
    """End all sessions of this person, on all machines."""
    with transaction() as writing:
        accounts.end_sessions(writing, actor(), accounts.get(writing, current_user.id), now=utcnow())
    logout_user()
    session.clear()
    return redirect(url_for("account.login"), 303)


@blueprint.route("/account", methods=["GET", "POST"])
@page(Access.VIEW)
def settings() -> ResponseReturnValue:
    """Change the own password. All other sessions end."""
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
    """Return the target if it is a path on this server: another address could lead to a look-alike."""
    return target if target and _is_own_path(target) else url_for("admin_apps.home")


def _is_own_path(target: str) -> bool:
    try:
        parts = urlsplit(target)
    except ValueError:
        return False
    is_path = target.startswith("/") and target[1:2] not in {"/", "\\"}
    return is_path and not parts.scheme and not parts.netloc
