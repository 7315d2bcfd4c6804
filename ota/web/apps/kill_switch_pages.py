"""The kill switch of an app and of a channel, after a look at what it does."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from ota.apps import apps, channels, kill_switch
from ota.clock import utcnow
from ota.core.lifecycle import ReleaseState
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.devices import devices
from ota.models import App, Channel, Release
from ota.releases import rows as release_rows
from ota.web.access import actor, page
from ota.web.forms import ConfirmForm
from ota.web.frame import render_page
from ota.web.in_view import app_in_view

blueprint = Blueprint("admin_kill_switch", __name__, url_prefix="/apps/<slug>")


@blueprint.route("/shut-off", methods=["GET", "POST"])
@page(Access.PUBLISH)
def shut_app_off(slug: str) -> ResponseReturnValue:
    """No device of the app is offered anything."""
    return _switch(slug, None, is_off=True)


@blueprint.route("/turn-on", methods=["GET", "POST"])
@page(Access.PUBLISH)
def turn_app_on(slug: str) -> ResponseReturnValue:
    """Offer again what stands."""
    return _switch(slug, None, is_off=False)


@blueprint.route("/channels/<int:channel_id>/shut-off", methods=["GET", "POST"])
@page(Access.PUBLISH)
def shut_channel_off(slug: str, channel_id: int) -> ResponseReturnValue:
    """The channel's devices are offered nothing, and its releases are offered to nobody."""
    return _switch(slug, channel_id, is_off=True)


@blueprint.route("/channels/<int:channel_id>/turn-on", methods=["GET", "POST"])
@page(Access.PUBLISH)
def turn_channel_on(slug: str, channel_id: int) -> ResponseReturnValue:
    """Offer again what stands on it."""
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
    shown = what.name if channel_id is None else f"The channel {what.name}"
    if not is_changed:
        flash(f"{shown} was {'shut off' if is_off else 'turned on'} already.")
    else:
        flash(
            f"{shown} is {'shut off: devices are told that there is no update.' if is_off else 'turned on again.'}"
        )
    return redirect(url_for("admin_channels.index", slug=slug), 303)


def _confirm(slug: str, channel: Channel | None, form: ConfirmForm, *, is_off: bool) -> str:
    app = app_in_view(slug)
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
        offers=_offers(app, channel),
        active=devices.count_active(reader(), app.id, now=utcnow()),
        followers=channels.fallen_back_to_by(reader(), channel) if channel else (),
    )


def _offers(app: App, channel: Channel | None) -> list[Release]:
    """The releases to which the switch makes a difference: for the app those on channels that are not shut off themselves."""
    now = utcnow()
    live = [
        each
        for each in release_rows.offered(reader(), app, now=now)
        if each.state == ReleaseState.ACTIVE and each.starts_at <= now
    ]
    if channel is None:
        return [each for each in live if not each.channel.is_shut_off]
    return [each for each in live if each.channel_id == channel.id and not app.is_shut_off]
