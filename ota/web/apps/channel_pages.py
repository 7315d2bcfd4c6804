"""Pages of channels: their live releases, their fallbacks, and their two-person rules."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from ota import approvals
from ota.apps import apps, channels
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.devices import devices
from ota.errors import Conflict, OtaError
from ota.models import App, Channel, Release
from ota.releases import rows as release_rows
from ota.web.access import actor, page
from ota.web.apps.channel_forms import ChannelEditForm, ChannelForm, in_percent
from ota.web.forms import ConfirmForm, seen_revision, show_error
from ota.web.frame import render_page
from ota.web.in_view import app_in_view
from ota.web.views import waits

blueprint = Blueprint("admin_channels", __name__, url_prefix="/apps/<slug>/channels")


@blueprint.get("")
@page(Access.VIEW)
def index(slug: str) -> ResponseReturnValue:
    """All channels, and what their devices are offered."""
    return _page(app_in_view(slug), ChannelForm(formdata=None))


@blueprint.post("")
@page(Access.ADMIN)
def create(slug: str) -> ResponseReturnValue:
    """Make a channel."""
    form = ChannelForm()
    if form.validate_on_submit():
        try:
            channel = _create(slug, form)
            flash(f"The channel {channel.name} is made: devices that send its name follow it.")
            return _to_index(slug)
        except OtaError as error:
            show_error(form, error)
    return _page(app_in_view(slug), form), 422


@blueprint.route("/<int:channel_id>/edit", methods=["GET", "POST"])
@page(Access.ADMIN)
def edit(slug: str, channel_id: int) -> ResponseReturnValue:
    """Change fallbacks and rule. A stale form is shown again, next to the present state."""
    app = app_in_view(slug)
    channel = channels.get(reader(), channel_id, app=app)
    form = _form_of(channel)
    if not form.validate_on_submit():
        return _edit_page(app, channel, form), 422 if form.errors else 200
    try:
        done = _edit(channel_id, app, form)
    except OtaError as error:
        return _show_again(slug, channel_id, form, error)
    flash(done)
    return _to_index(slug)


@blueprint.route("/<int:channel_id>/delete", methods=["GET", "POST"])
@page(Access.ADMIN)
def delete(slug: str, channel_id: int) -> ResponseReturnValue:
    """Delete a channel without a history, after a confirmation."""
    app, form = app_in_view(slug), ConfirmForm()
    channel = channels.get(reader(), channel_id, app=app)
    if not form.validate_on_submit():
        return _confirm_delete(app, channel, form)
    name = channel.name
    with transaction() as session:
        found = channels.get(session, channel_id, app=apps.find(session, slug))
        channels.delete(session, actor(), found, now=utcnow())
    flash(f"The channel {name} is deleted.")
    return _to_index(slug)


def _to_index(slug: str) -> ResponseReturnValue:
    return redirect(url_for("admin_channels.index", slug=slug), 303)


def _create(slug: str, form: ChannelForm) -> Channel:
    wanted = form.wanted()
    with transaction() as session:
        return channels.create(
            session,
            actor(),
            apps.find(session, slug),
            name=form.name.data,
            falls_back_to=wanted.falls_back_to,
            approval_above=wanted.approval_above,
            now=utcnow(),
        )


def _form_of(channel: Channel) -> ChannelEditForm:
    present = channels.edit_of(channel)
    return ChannelEditForm(
        falls_back_to=list(present.falls_back_to),
        approval_above=in_percent(present.approval_above),
        revision=channel.revision,
    )


def _confirm_delete(app: App, channel: Channel, form: ConfirmForm) -> str:
    fragment = "apps/_confirm_delete_channel.html"
    return render_page(
        "frame/confirm_act.html",
        fragment,
        dialog=fragment,
        title=f"Delete {channel.name}",
        app=app,
        channel=channel,
        form=form,
    )


def _edit(channel_id: int, app: App, form: ChannelEditForm) -> str:
    now, wanted, revision = utcnow(), form.wanted(), seen_revision(form) or 0
    with transaction() as session:
        channel = channels.get(session, channel_id, app=app)
        name = channel.name
        outcome = approvals.or_propose(
            session,
            actor(),
            lambda: channels.edit(session, actor(), channel, wanted, revision=revision, now=now),
            now=now,
        )
    return f"The channel {name} is changed." if isinstance(outcome, Channel) else waits(outcome)


def _page(app: App, form: ChannelForm) -> str:
    found = channels.of_app(reader(), app)
    form.offer(list(found))
    live: dict[int, list[Release]] = defaultdict(list)
    for release in release_rows.offered(reader(), app, now=utcnow()):
        live[release.channel_id].append(release)
    rows = [(channel, live[channel.id], channels.why_kept(reader(), channel) is None) for channel in found]
    return render_page(
        "apps/channels.html",
        app=app,
        form=form,
        rows=rows,
        active=devices.count_active(reader(), app.id, now=utcnow()),
    )


def _edit_page(app: App, channel: Channel, form: ChannelEditForm, **context: Any) -> str:
    form.offer([each for each in channels.of_app(reader(), app) if each.id != channel.id])
    return render_page("apps/channel_edit.html", app=app, channel=channel, form=form, **context)


def _show_again(slug: str, channel_id: int, form: ChannelEditForm, error: OtaError) -> ResponseReturnValue:
    app = app_in_view(slug)
    channel = channels.get(reader(), channel_id, app=app)
    show_error(form, error)
    is_stale = isinstance(error, Conflict)
    if is_stale:
        form.revision.data = str(channel.revision)  # The present state is shown, so it can be sent again.
    return _edit_page(app, channel, form, is_stale=is_stale), 409 if is_stale else 422
