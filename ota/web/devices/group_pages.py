"""Device groups: who is in them, and which releases are open to them."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.devices import devices, groups
from ota.errors import OtaError, Stale
from ota.models import App
from ota.web import journal
from ota.web.access import actor, page
from ota.web.devices.forms import DevicesForm, GroupForm
from ota.web.forms import ConfirmForm, seen_revision, show_error, without_nul
from ota.web.frame import render_page, start_of_page
from ota.web.in_view import app_in_view

blueprint = Blueprint("admin_groups", __name__, url_prefix="/apps/<slug>/groups")

PAGE = 100


@blueprint.get("")
@page(Access.VIEW)
def index(slug: str) -> ResponseReturnValue:
    """Every group, with how many devices are in it."""
    return _index(app_in_view(slug), GroupForm(formdata=None))


@blueprint.post("")
@page(Access.PUBLISH)
def create(slug: str) -> ResponseReturnValue:
    """Make a group."""
    form = GroupForm()
    if form.validate_on_submit():
        try:
            with transaction() as session:
                group = groups.create(
                    session, actor(), apps.find(session, slug), name=form.name.data, now=utcnow()
                )
            flash(f"The group {group.name} is made. Put devices into it.")
            return redirect(url_for("admin_groups.show", slug=slug, group_id=group.id), 303)
        except OtaError as error:
            show_error(form, error)
    return _index(app_in_view(slug), form), 422


@blueprint.get("/<int:group_id>")
@page(Access.VIEW)
def show(slug: str, group_id: int) -> ResponseReturnValue:
    """One group: its devices and the releases that are open to it."""
    return _page(slug, group_id)


@blueprint.post("/<int:group_id>/devices")
@page(Access.PUBLISH)
def add(slug: str, group_id: int) -> ResponseReturnValue:
    """Put the pasted devices into the group."""
    form = DevicesForm()
    if form.validate_on_submit():
        try:
            with transaction() as session:
                group = groups.get(session, group_id, app=apps.find(session, slug))
                added = groups.add_devices(
                    session,
                    actor(),
                    group,
                    form.ids(),
                    hashed=journal.hashed,
                    note=form.note.data,
                    now=utcnow(),
                )
            flash(
                f"{_devices(added.new)} added."
                + (
                    f" {added.known:,} {'was' if added.known == 1 else 'were'} in the group before."
                    if added.known
                    else ""
                )
            )
            return redirect(url_for("admin_groups.show", slug=slug, group_id=group_id), 303)
        except OtaError as error:
            show_error(form, error)
    return _page(slug, group_id, devices_form=form), 422


@blueprint.post("/<int:group_id>/remove")
@page(Access.PUBLISH)
def remove(slug: str, group_id: int) -> ResponseReturnValue:
    """Take one device out of the group."""
    which = without_nul(request.form.get("device", ""))
    with transaction() as session:
        group = groups.get(session, group_id, app=apps.find(session, slug))
        removed = groups.remove_devices(session, actor(), group, [which], hashed=journal.hashed, now=utcnow())
    flash("The device is taken out." if removed else "That device was not in the group.")
    return redirect(url_for("admin_groups.show", slug=slug, group_id=group_id), 303)


@blueprint.post("/<int:group_id>/rename")
@page(Access.PUBLISH)
def rename(slug: str, group_id: int) -> ResponseReturnValue:
    """Call it something else."""
    form = GroupForm()
    if not form.validate_on_submit():
        return _page(slug, group_id, rename_form=form), 422
    try:
        with transaction() as session:
            group = groups.get(session, group_id, app=apps.find(session, slug))
            groups.rename(
                session, actor(), group, name=form.name.data, revision=seen_revision(form) or 0, now=utcnow()
            )
    except OtaError as error:
        show_error(form, error)
        form.revision.data = str(groups.get(reader(), group_id).revision)
        return _page(slug, group_id, rename_form=form), 409 if isinstance(error, Stale) else 422
    flash(f"The group is now called {group.name}.")
    return redirect(url_for("admin_groups.show", slug=slug, group_id=group_id), 303)


@blueprint.route("/<int:group_id>/delete", methods=["GET", "POST"])
@page(Access.PUBLISH)
def delete(slug: str, group_id: int) -> ResponseReturnValue:
    """Forget the group, after a look at what that means."""
    app, form = app_in_view(slug), ConfirmForm()
    group = groups.get(reader(), group_id, app=app)
    if not form.validate_on_submit():
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
    name = group.name
    with transaction() as session:
        groups.delete(
            session, actor(), groups.get(session, group_id, app=apps.find(session, slug)), now=utcnow()
        )
    flash(f"The group {name} is deleted.")
    return redirect(url_for("admin_groups.index", slug=slug), 303)


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
    found = groups.members(reader(), group, limit=PAGE + 1, offset=start)
    seen = devices.known(reader(), app.id, [member.device_hash for member in found])
    return render_page(
        "devices/group.html",
        app=app,
        group=group,
        start=start,
        page_size=PAGE,
        has_more=len(found) > PAGE,
        rows=[(member, seen.get(member.device_hash)) for member in found[:PAGE]],
        count=groups.count(reader(), group),
        releases=groups.targeted_by(reader(), group),
        form=devices_form or DevicesForm(formdata=None),
        rename_form=rename_form or GroupForm(formdata=None, name=group.name, revision=group.revision),
        limit=groups.MAX_MEMBERS,
    )


def _devices(count: int) -> str:
    return "1 device is" if count == 1 else f"{count:,} devices are"
