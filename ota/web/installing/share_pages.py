"""Pages for the share links of an app: create, show, revoke."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.errors import OtaError
from ota.installing import share_links
from ota.models import ShareLink
from ota.web.access import actor, page
from ota.web.forms import ConfirmForm, ShareForm, show_error
from ota.web.frame import render_page, start_of_page
from ota.web.in_view import app_in_view
from ota.web.installing import links

blueprint = Blueprint("admin_shares", __name__, url_prefix="/apps/<slug>/share")

PAGE = 50


@blueprint.get("")
@page(Access.PUBLISH)
def index(slug: str) -> ResponseReturnValue:
    """The address of the install page, and all share links."""
    return _page(slug, ShareForm(formdata=None, days=share_links.DEFAULT_DAYS))


@blueprint.post("")
@page(Access.PUBLISH)
def create(slug: str) -> ResponseReturnValue:
    """Create a link and show its address."""
    form = ShareForm()
    if form.validate_on_submit():
        try:
            link = _create(slug, form)
        except OtaError as error:
            show_error(form, error)
        else:
            flash(f"The link {link.name} is made.")
            return redirect(url_for("admin_shares.show", slug=slug, link_id=link.id), 303)
    return _page(slug, form), 422


@blueprint.get("/<int:link_id>")
@page(Access.PUBLISH)
def show(slug: str, link_id: int) -> ResponseReturnValue:
    """The address of one link, to copy and to scan."""
    app = app_in_view(slug)
    link = share_links.get(reader(), link_id, app=app)
    return render_page(
        "installing/share_link.html",
        "installing/_share_dialog.html",
        app=app,
        link=link,
        state=share_links.state_of(link, utcnow()),
        address=links.share_url(link),
    )


@blueprint.route("/<int:link_id>/revoke", methods=["GET", "POST"])
@page(Access.PUBLISH)
def revoke(slug: str, link_id: int) -> ResponseReturnValue:
    """Close a link, after a confirmation."""
    app, form = app_in_view(slug), ConfirmForm()
    link = share_links.get(reader(), link_id, app=app)
    if not form.validate_on_submit():
        context: dict[str, Any] = {"what": "revoke", "app": app, "link": link, "form": form}
        return render_page("frame/confirm.html", "installing/_confirm_revoke.html", **context)
    with transaction() as session:
        found = share_links.get(session, link_id, app=apps.find(session, slug))
        share_links.revoke(session, actor(), found, now=utcnow())
    flash(f"The link {link.name} is revoked.")
    return redirect(url_for("admin_shares.index", slug=slug), 303)


def _create(slug: str, form: ShareForm) -> ShareLink:
    with transaction() as session:
        return share_links.create(
            session,
            actor(),
            apps.find(session, slug),
            name=form.name.data,
            days=form.days.data,
            password=form.password.data,
            now=utcnow(),
        )


def _page(slug: str, form: ShareForm) -> str:
    app, start, now = app_in_view(slug), start_of_page(), utcnow()
    found = share_links.of_app(reader(), app, limit=PAGE + 1, offset=start)
    rows = [(link, share_links.state_of(link, now), links.share_url(link)) for link in found[:PAGE]]
    return render_page(
        "installing/share.html",
        app=app,
        form=form,
        rows=rows,
        start=start,
        page_size=PAGE,
        has_more=len(found) > PAGE,
        address=links.install_url(app),
    )
