"""Versions: the table, one version, editing, deleting, adding one that lives elsewhere."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ota.apps import apps
from ota.builds import facts as build_facts
from ota.builds import uploads, versions
from ota.builds.versions import VersionDraft, VersionEdit
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.devices import devices
from ota.errors import Conflict, OtaError
from ota.history import audit
from ota.models import App, Version
from ota.releases import preflight
from ota.releases import rows as release_rows
from ota.web.access import actor, page
from ota.web.builds import note_fields
from ota.web.builds.note_fields import Row
from ota.web.forms import ConfirmForm, EditForm, ExternalForm, UploadForm, seen_revision, show_error
from ota.web.frame import render_page, start_of_page
from ota.web.in_view import app_in_view
from ota.web.views import is_https

blueprint = Blueprint("admin_versions", __name__, url_prefix="/apps/<slug>/versions")

PAGE = 50


@blueprint.get("")
@page(Access.VIEW)
def index(slug: str) -> ResponseReturnValue:
    """What is live on each channel, and every version."""
    app = app_in_view(slug)
    search = request.args.get("q", "").strip()[:100]
    start = start_of_page()
    found = versions.newest(reader(), app, search=search, limit=PAGE + 1, offset=start)
    live = release_rows.offered(reader(), app, now=utcnow())
    context = {
        "app": app,
        "search": search,
        "start": start,
        "versions": found[:PAGE],
        "has_more": len(found) > PAGE,
        "live": live,
    }
    return render_page(
        "builds/versions.html",
        "builds/_versions_table.html",
        upload_form=UploadForm(),
        page_size=PAGE,
        **context,
    )


@blueprint.get("/<int:version_id>")
@page(Access.VIEW)
def show(slug: str, version_id: int) -> ResponseReturnValue:
    """One version: its state, its file, what happened to it."""
    app = app_in_view(slug)
    version = versions.get(reader(), version_id, app=app)
    return render_page(
        "builds/version.html", app=app, version=version, now=utcnow(), **_known_of(app, version)
    )


@blueprint.route("/<int:version_id>/edit", methods=["GET", "POST"])
@page(Access.PUBLISH)
def edit(slug: str, version_id: int) -> ResponseReturnValue:
    """Change notes and flags. A stale form comes back with what was typed beside what is there now."""
    app = app_in_view(slug)
    version = versions.get(reader(), version_id, app=app)
    form = EditForm(obj=version)
    rows = note_fields.rows_sent() if form.is_submitted() else note_fields.rows_of(version)
    if note_fields.wants_more():
        return render_page(
            "builds/version_edit.html",
            app=app,
            version=version,
            form=form,
            rows=[*note_fields.with_empty(rows), Row("", "")],
        )
    if not form.validate_on_submit():
        shown = note_fields.with_empty(rows) if form.is_submitted() else rows
        return render_page(
            "builds/version_edit.html", app=app, version=version, form=form, rows=shown
        ), 422 if form.errors else 200
    try:
        with transaction() as session:
            found = versions.get(session, version_id, app=app)
            changes = _changes(form, rows, found)
            versions.edit(session, actor(), found, changes, revision=seen_revision(form) or 0, now=utcnow())
    except OtaError as error:
        return _show_again(slug, version_id, form, rows, error)
    flash(f"Version {version.version} is changed.")
    return redirect(url_for("admin_versions.show", slug=slug, version_id=version_id), 303)


@blueprint.route("/<int:version_id>/delete", methods=["GET", "POST"])
@page(Access.PUBLISH)
def delete(slug: str, version_id: int) -> ResponseReturnValue:
    """Forget a version that was never published, after a look at what that means."""
    app = app_in_view(slug)
    version = versions.get(reader(), version_id, app=app)
    form = ConfirmForm()
    if not form.validate_on_submit():
        return render_page(
            "frame/confirm.html",
            "builds/_confirm_delete.html",
            what="delete",
            app=app,
            version=version,
            form=form,
        )
    with transaction() as session:
        found = versions.get(session, version_id, app=app)
        name = found.version
        versions.delete(session, actor(), found, now=utcnow())
    flash(f"Version {name} is deleted.")
    return redirect(url_for("admin_versions.index", slug=slug), 303)


@blueprint.route("/new", methods=["GET", "POST"])
@page(Access.PUBLISH)
def create(slug: str) -> ResponseReturnValue:
    """Add a version whose file lives at another address."""
    app, form = app_in_view(slug), ExternalForm()
    if form.validate_on_submit():
        try:
            with transaction() as session:
                version = versions.add(
                    session, actor(), apps.find(session, slug), _draft(form), artifact=None, now=utcnow()
                )
            flash(f"Version {version.version} is added. It is inactive until you publish it.")
            return redirect(url_for("admin_versions.show", slug=slug, version_id=version.id), 303)
        except OtaError as error:
            show_error(form, error)
    return render_page("builds/version_new.html", app=app, form=form), 422 if form.errors else 200


def _known_of(app: App, version: Version) -> dict[str, Any]:
    """What the page of a version shows beside its row."""
    subjects = [("version", version.id), *(("release", release.id) for release in version.releases)]
    channel = apps.find_channel(app, uploads.proposed_channel(reader(), version.id))
    before = build_facts.predecessor(reader(), version) if version.is_hosted_here else None
    standing = {
        release.channel_id
        for release in version.releases
        if release.is_live and release.experiment_id is None
    }
    return {
        "stranded": devices.stranded(reader(), version, now=utcnow()),
        "elsewhere": [each for each in app.channels if each.id not in standing],
        "events": audit.history(reader(), subjects=subjects),
        "channel": channel,
        "checks": ()
        if version.is_active
        else preflight.examine(reader(), version, channel, is_https=is_https(), now=utcnow()),
        "facts": build_facts.facts_of(version),
        "has_icon": build_facts.has_icon(reader(), version),
        "before": before,
        "changes": build_facts.changes_since(before, version) if before else [],
    }


def _changes(form: EditForm, rows: list[Row], version: Version) -> VersionEdit:
    return VersionEdit(
        release_notes=form.release_notes.data or "",
        is_mandatory=form.is_mandatory.data,
        min_supported_version=form.min_supported_version.data or "",
        localized_notes=note_fields.changes(rows, version.localized_notes)
        if note_fields.are_sent()
        else None,
    )


def _show_again(
    slug: str, version_id: int, form: EditForm, rows: list[Row], error: OtaError
) -> ResponseReturnValue:
    app = app_in_view(slug)
    present = versions.get(reader(), version_id, app=app)
    is_about_notes = error.field in {"localized_notes", note_fields.LANGUAGE}
    notes_wrong = error.sentence if is_about_notes else None
    if notes_wrong is None:
        show_error(form, error)
    is_stale = isinstance(error, Conflict)
    if is_stale:
        form.revision.data = str(present.revision)  # Sending it again is now a decision made with open eyes.
    context: dict[str, Any] = {
        "rows": note_fields.with_empty(rows),
        "notes_wrong": notes_wrong,
        "is_stale": is_stale,
    }
    return render_page(
        "builds/version_edit.html", app=app, version=present, form=form, **context
    ), 409 if is_stale else 422


def _draft(form: ExternalForm) -> VersionDraft:
    return VersionDraft(
        platform=apps.find_platform(form.platform.data),
        version=form.version.data,
        version_code=form.version_code.data,
        download_url=form.download_url.data,
        file_size=form.file_size.data,
        checksum=form.checksum.data,
        release_notes=form.release_notes.data,
        is_mandatory=form.is_mandatory.data,
        min_supported_version=form.min_supported_version.data,
    )
