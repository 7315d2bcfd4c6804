"""Pages of the kill switches of apps and channels, each with a confirmation that shows its effect."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from ota.apps import apps, channels, fallbacks, kill_switch
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.devices import devices
from ota.models import App, Channel
from ota.releases import rows as release_rows
from ota.web.access import actor, page
from ota.web.forms import ConfirmForm
from ota.web.frame import render_page
from ota.web.in_view import app_in_view

blueprint = Blueprint("admin_kill_switch", __name__, url_prefix="/apps/<slug>")


@blueprint.route("/shut-off", methods=["GET", "POST"])
@page(Access.PUBLISH)
def shut_app_off(slug: str) -> ResponseReturnValue:
    """Offer nothing to any device of the app."""
    return _switch(slug, None, is_off=True)


@blueprint.route("/turn-on", methods=["GET", "POST"])
@page(Access.PUBLISH)
def turn_app_on(slug: str) -> ResponseReturnValue:
    """Offer the live releases of the app again."""
    return _switch(slug, None, is_off=False)


@blueprint.route("/channels/<int:channel_id>/shut-off", methods=["GET", "POST"])
@page(Access.PUBLISH)
def shut_channel_off(slug: str, channel_id: int) -> ResponseReturnValue:
    """Offer nothing to the devices of the channel, and its releases to no device."""
    return _switch(slug, channel_id, is_off=True)


@blueprint.route("/channels/<int:channel_id>/turn-on", methods=["GET", "POST"])
@page(Access.PUBLISH)
def turn_channel_on(slug: str, channel_id: int) -> ResponseReturnValue:
    """Offer the live releases of the channel again."""
    return _switch(slug, channel_id, is_off=False)


def _switch(slug: str, channel_id: int | None, *, is_off: bool) -> ResponseReturnValue:
    app, form = app_in_view(slug), ConfirmForm()
    channel = None if channel_id is None else channels.get(reader(), channel_id, app=app)
    if not form.validate_on_submit():
        return _confirm(slug, channel, form, is_off=is_off)
    with transaction() as session:
        what = apps.find(session, slug) if channel_id is None else channels.get(session, channel_id, app=app)
        act = kill_switch.shut_off if is_off else kill_switch.turn_on
        is_changed = act(session, actor(), what, now=utcnow())
    flash(_result(what, is_off, is_changed))
    return redirect(url_for("admin_channels.index", slug=slug), 303)


def _result(what: App | Channel, is_off: bool, is_changed: bool) -> str:
    shown = f"The channel {what.name}" if isinstance(what, Channel) else what.name
    if not is_changed:
        return f"{shown} was {'shut off' if is_off else 'turned on'} already."
    if is_off:
        return f"{shown} is shut off: devices are told that there is no update."
    return f"{shown} is turned on again."


def _confirm(slug: str, channel: Channel | None, form: ConfirmForm, *, is_off: bool) -> str:
    app, now = app_in_view(slug), utcnow()
    what = channel or app
    fragment = "apps/_confirm_switch.html"
    return render_page(
        "frame/confirm_act.html",
        fragment,
        dialog=fragment,
        title="Shut off" if is_off else "Turn on",
        app=app,
        channel=channel,
        form=form,
        is_off=is_off,
        is_so=what.is_shut_off == is_off,
        offers=kill_switch.affected(app, channel, release_rows.offered(reader(), app, now=now), now=now),
        active=devices.count_active(reader(), app.id, now=now),
        followers=fallbacks.followers(reader(), channel) if channel else (),
    )
