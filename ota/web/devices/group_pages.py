"""Pages of device groups: their members, and the releases that are open to them."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.devices import devices, group_members, groups
from ota.errors import OtaError, Stale
from ota.models import App, DeviceGroup
from ota.web import journal
from ota.web.access import actor, page
from ota.web.devices.forms import DevicesForm, GroupForm
from ota.web.forms import ConfirmForm, seen_revision, show_error, without_nul
from ota.web.frame import render_page, start_of_page
from ota.web.in_view import app_in_view

blueprint = Blueprint("admin_groups", __name__, url_prefix="/apps/<slug>/groups")

_PAGE = 100


@blueprint.get("")
@page(Access.VIEW)
def index(slug: str) -> ResponseReturnValue:
    """All groups, with the number of devices in each."""
    return _index(app_in_view(slug), GroupForm(formdata=None))


@blueprint.post("")
@page(Access.PUBLISH)
def create(slug: str) -> ResponseReturnValue:
    """Make a group."""
    form = GroupForm()
    if form.validate_on_submit():
        try:
            with transaction() as session:
                app = apps.find(session, slug)
                group = groups.create(session, actor(), app, name=form.name.data, now=utcnow())
            flash(f"The group {group.name} is made. Put devices into it.")
            return _to_group(slug, group.id)
        except OtaError as error:
            show_error(form, error)
    return _index(app_in_view(slug), form), 422


@blueprint.get("/<int:group_id>")
@page(Access.VIEW)
def show(slug: str, group_id: int) -> ResponseReturnValue:
    """One group: its members, and the releases that are open to it."""
    return _page(slug, group_id)


@blueprint.post("/<int:group_id>/devices")
@page(Access.PUBLISH)
def add(slug: str, group_id: int) -> ResponseReturnValue:
    """Add the pasted devices to the group."""
    form = DevicesForm()
    if form.validate_on_submit():
        try:
            flash(_add(slug, group_id, form))
            return _to_group(slug, group_id)
        except OtaError as error:
            show_error(form, error)
    return _page(slug, group_id, devices_form=form), 422


@blueprint.post("/<int:group_id>/remove")
@page(Access.PUBLISH)
def remove(slug: str, group_id: int) -> ResponseReturnValue:
    """Remove one device from the group."""
    which = without_nul(request.form.get("device", ""))
    with transaction() as session:
        group = groups.get(session, group_id, app=apps.find(session, slug))
        removed = group_members.remove(session, actor(), group, [which], hashed=journal.hashed, now=utcnow())
    flash("The device is taken out." if removed else "That device was not in the group.")
    return _to_group(slug, group_id)


@blueprint.post("/<int:group_id>/rename")
@page(Access.PUBLISH)
def rename(slug: str, group_id: int) -> ResponseReturnValue:
    """Rename the group."""
    form = GroupForm()
    if not form.validate_on_submit():
        return _page(slug, group_id, rename_form=form), 422
    try:
        name = _rename(slug, group_id, form)
    except OtaError as error:
        show_error(form, error)
        form.revision.data = str(groups.get(reader(), group_id).revision)
        return _page(slug, group_id, rename_form=form), 409 if isinstance(error, Stale) else 422
    flash(f"The group is now called {name}.")
    return _to_group(slug, group_id)


@blueprint.route("/<int:group_id>/delete", methods=["GET", "POST"])
@page(Access.PUBLISH)
def delete(slug: str, group_id: int) -> ResponseReturnValue:
    """Delete the group, after a confirmation."""
    app, form = app_in_view(slug), ConfirmForm()
    group = groups.get(reader(), group_id, app=app)
    if not form.validate_on_submit():
        return _confirm_delete(app, group, form)
    name = group.name
    with transaction() as session:
        found = groups.get(session, group_id, app=apps.find(session, slug))
        groups.delete(session, actor(), found, now=utcnow())
    flash(f"The group {name} is deleted.")
    return redirect(url_for("admin_groups.index", slug=slug), 303)


def _to_group(slug: str, group_id: int) -> ResponseReturnValue:
    return redirect(url_for("admin_groups.show", slug=slug, group_id=group_id), 303)


def _add(slug: str, group_id: int, form: DevicesForm) -> str:
    """Add the pasted devices. Return a message with the numbers."""
    with transaction() as session:
        added = group_members.add(
            session,
            actor(),
            groups.get(session, group_id, app=apps.find(session, slug)),
            form.ids(),
            hashed=journal.hashed,
            note=form.note.data,
            now=utcnow(),
        )
    message = "1 device is added." if added.new == 1 else f"{added.new:,} devices are added."
    if added.known:
        message += f" {added.known:,} {'was' if added.known == 1 else 'were'} in the group before."
    return message


def _rename(slug: str, group_id: int, form: GroupForm) -> str:
    revision = seen_revision(form) or 0
    with transaction() as session:
        group = groups.get(session, group_id, app=apps.find(session, slug))
        groups.rename(session, actor(), group, name=form.name.data, revision=revision, now=utcnow())
    return group.name


def _confirm_delete(app: App, group: DeviceGroup, form: ConfirmForm) -> str:
    fragment = "devices/_confirm_delete_group.html"
    return render_page(
        "frame/confirm_act.html",
        fragment,
        dialog=fragment,
        title=f"Delete {group.name}",
        app=app,
        group=group,
        form=form,
        count=groups.count(reader(), group),
        releases=groups.targeted_by(reader(), group),
    )


def _index(app: App, form: GroupForm) -> str:
    counted = groups.counts(reader(), app)
    rows = [
        (group, counted.get(group.id, 0), groups.targeted_by(reader(), group))
        for group in groups.of_app(reader(), app)
    ]
    return render_page("devices/groups.html", app=app, form=form, rows=rows)


def _page(
    slug: str, group_id: int, *, devices_form: DevicesForm | None = None, rename_form: GroupForm | None = None
) -> str:
    app, start = app_in_view(slug), start_of_page()
    group = groups.get(reader(), group_id, app=app)
    found = group_members.listed(reader(), group, limit=_PAGE + 1, offset=start)
    known = devices.known(reader(), app.id, [member.device_hash for member in found])
    return render_page(
        "devices/group.html",
        app=app,
        group=group,
        start=start,
        page_size=_PAGE,
        has_more=len(found) > _PAGE,
        rows=[(member, known.get(member.device_hash)) for member in found[:_PAGE]],
        count=groups.count(reader(), group),
        releases=groups.targeted_by(reader(), group),
        form=devices_form or DevicesForm(formdata=None),
        rename_form=rename_form or GroupForm(formdata=None, name=group.name, revision=group.revision),
        limit=group_members.MAX_MEMBERS,
    )
