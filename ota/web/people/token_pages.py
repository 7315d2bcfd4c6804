"""API tokens: made, shown once, revoked."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ota.clock import utcnow
from ota.core.permissions import Access, Role
from ota.db import reader, transaction
from ota.errors import OtaError
from ota.models import ApiToken
from ota.people import accounts, tokens
from ota.web.access import actor, page
from ota.web.forms import ConfirmForm, TokenForm, show_error
from ota.web.frame import render_page

blueprint = Blueprint("admin_tokens", __name__, url_prefix="/tokens")


@blueprint.get("")
@page(Access.VIEW)
def index() -> ResponseReturnValue:
    """List the own tokens, or all tokens for administrators."""
    return _page(TokenForm())


@blueprint.post("")
@page(Access.VIEW)
def create() -> ResponseReturnValue:
    """Create a token and show its secret, once."""
    form = TokenForm()
    if not form.validate_on_submit():
        return _page(form), 422
    try:
        token, secret = _create(form)
    except OtaError as error:
        show_error(form, error)
        return _page(form), 422
    return _page(TokenForm(formdata=None), new_token=token, secret=secret)


@blueprint.post("/<int:token_id>/revoke")
@page(Access.VIEW)
def revoke(token_id: int) -> ResponseReturnValue:
    """Stop a token from the next request on."""
    with transaction() as session:
        token = tokens.revoke(session, actor(), token_id, now=utcnow())
    flash(f"The token {token.name} is revoked.")
    return redirect(url_for("admin_tokens.index"), 303)


def _create(form: TokenForm) -> tuple[ApiToken, str]:
    role, days = Role(form.role.data), form.lifetime_days.data
    with transaction() as session:
        owner = accounts.get(session, current_user.id)
        return tokens.create(
            session, actor(), owner, name=form.name.data, role=role, now=utcnow(), lifetime_days=days
        )


def _page(form: TokenForm, **context: Any) -> str:
    found = tokens.visible_to(reader(), current_user)
    return render_page(
        "people/tokens.html", form=form, tokens=found, now=utcnow(), confirm=ConfirmForm(), **context
    )
