"""People: who may log in, and what they may do."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from ota.clock import utcnow
from ota.core.permissions import Access, Role
from ota.db import reader, transaction
from ota.errors import OtaError
from ota.people import accounts
from ota.web.access import actor, page
from ota.web.forms import ConfirmForm, PersonForm, RoleForm, show_error
from ota.web.frame import render_page

blueprint = Blueprint("admin_people", __name__, url_prefix="/people")


@blueprint.get("")
@page(Access.ADMIN)
def index() -> ResponseReturnValue:
    """List all accounts."""
    return _page(PersonForm())


@blueprint.post("")
@page(Access.ADMIN)
def create() -> ResponseReturnValue:
    """Create an account with a random password that is shown once."""
    form = PersonForm()
    if not form.validate_on_submit():
        return _page(form), 422
    email, password, role = form.email.data, secrets.token_urlsafe(12), Role(form.role.data)
    try:
        with transaction() as session:
            user = accounts.create(session, actor(), email=email, password=password, role=role, now=utcnow())
    except OtaError as error:
        show_error(form, error)
        return _page(form), 422
    return _page(PersonForm(formdata=None), new_person=user, password=password)


@blueprint.post("/<int:user_id>/role")
@page(Access.ADMIN)
def set_role(user_id: int) -> ResponseReturnValue:
    """Change a person's role."""
    form = RoleForm()
    if form.validate_on_submit():
        with transaction() as session:
            user = accounts.get(session, user_id)
            accounts.set_role(session, actor(), user, Role(form.role.data), now=utcnow())
        flash(f"{user.email} is now {user.role}.")
    else:
        flash("That is not a role; nothing was changed.")
    return redirect(url_for("admin_people.index"), 303)


@blueprint.post("/<int:user_id>/<any(enable, disable):verb>")
@page(Access.ADMIN)
def set_enabled(user_id: int, verb: str) -> ResponseReturnValue:
    """Enable an account, or disable it at once."""
    with transaction() as session:
        user = accounts.get(session, user_id)
        accounts.set_enabled(session, actor(), user, verb == "enable", now=utcnow())
    state = "log in again" if user.is_enabled else "no longer log in; sessions and tokens have stopped"
    flash(f"{user.email} may {state}.")
    return redirect(url_for("admin_people.index"), 303)


def _page(form: PersonForm, **context: Any) -> str:
    return render_page(
        "people/people.html",
        form=form,
        people=accounts.everybody(reader()),
        roles=list(Role),
        confirm=ConfirmForm(),
        **context,
    )
