"""Pages of devices: the list, looking one up by its id, its timeline, and forgetting it."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, flash, redirect, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue

from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.core.platforms import Platform
from ota.db import reader, transaction
from ota.devices import timeline
from ota.errors import NotFound, OtaError
from ota.models import App
from ota.web import journal
from ota.web.access import actor, page
from ota.web.devices.forms import LookUpForm
from ota.web.devices.views import LOOKED_UP, cursor_of, cursor_text, folded, looked_up
from ota.web.forms import ConfirmForm, show_error
from ota.web.frame import render_page
from ota.web.in_view import app_in_view
from ota.web.operation import with_plus

blueprint = Blueprint("admin_devices", __name__, url_prefix="/apps/<slug>/devices")

_UNSEEN_DAYS = (7, 30)


@blueprint.get("")
@page(Access.VIEW)
def index(slug: str) -> ResponseReturnValue:
    """The devices of a platform, the last seen first."""
    return _index(app_in_view(slug), LookUpForm(formdata=None))


@blueprint.post("")
@page(Access.VIEW)
def look_up(slug: str) -> ResponseReturnValue:
    """Find a device by its id, which stays out of addresses because logs and browser histories keep those."""
    app, form = app_in_view(slug), LookUpForm()
    if form.validate_on_submit():
        device_id = form.device_id.data.strip()
        try:
            device_hash = timeline.find(reader(), app, device_id, hashed=journal.hashed)
            if device_hash != device_id:
                cookie[LOOKED_UP] = [device_hash, device_id]
            return redirect(url_for("admin_devices.show", slug=slug, device_hash=device_hash), 303)
        except OtaError as error:
            show_error(form, error)
    return _index(app, form), 422


@blueprint.get("/<device_hash>")
@page(Access.VIEW)
def show(slug: str, device_hash: str) -> ResponseReturnValue:
    """A device: what it runs, what it was offered and why, what it reported, and its groups."""
    app, before = app_in_view(slug), _before()
    found = timeline.story(reader(), app, device_hash, before=before)
    return render_page(
        "devices/device.html",
        app=app,
        story=found,
        lines=folded(found.moments),
        device_id=looked_up(device_hash),
        older=found.before and found.before.isoformat(),
        is_newest=before is None,
    )


@blueprint.route("/<device_hash>/forget", methods=["GET", "POST"])
@page(Access.ADMIN)
def forget(slug: str, device_hash: str) -> ResponseReturnValue:
    """Delete everything that is known about a device, after a confirmation."""
    app, form = app_in_view(slug), ConfirmForm()
    if not form.validate_on_submit():
        return _confirm_forget(app, device_hash, form)
    with transaction() as session:
        timeline.forget(session, actor(), apps.find(session, slug), device_hash, now=utcnow())
    cookie.pop(LOOKED_UP, None)
    flash("The device is forgotten. If it asks again, it is a new one.")
    return redirect(url_for("admin_devices.index", slug=slug), 303)


def _confirm_forget(app: App, device_hash: str, form: ConfirmForm) -> str:
    fragment = "devices/_confirm_forget.html"
    return render_page(
        "frame/confirm_act.html",
        fragment,
        dialog=fragment,
        title="Forget this device",
        app=app,
        story=timeline.story(reader(), app, device_hash, limit=1),
        form=form,
    )


def _index(app: App, form: LookUpForm) -> str:
    platform = apps.find_platform(request.args.get("platform") or Platform.ANDROID.value)
    days, version = request.args.get("unseen", type=int), with_plus(request.args.get("version"))
    unseen = days if days in _UNSEEN_DAYS else None
    found = timeline.listed(
        reader(),
        app.id,
        platform,
        now=utcnow(),
        unseen_days=unseen,
        version=version or None,
        after=cursor_of(request.args.get("after")),
    )
    return render_page(
        "devices/devices.html",
        app=app,
        form=form,
        found=found,
        platform=platform,
        platforms=list(Platform),
        unseen=unseen,
        unseens=_UNSEEN_DAYS,
        version=version or None,
        after=cursor_text(found.after),
        is_first=not request.args.get("after"),
    )


def _before() -> datetime | None:
    """Return the time before which the address asks for moments. Raises `NotFound` if it can't be read."""
    text = request.args.get("before")
    if not text:
        return None
    try:
        return datetime.fromisoformat(text.replace(" ", "+")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotFound("not_found", "There is nothing at this address.") from None
