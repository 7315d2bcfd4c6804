"""Pages for versions: the table, one version, edit, delete, add one with an external file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ota.apps import apps
from ota.builds import facts as build_facts
from ota.builds import uploads, version_edits, versions
from ota.builds.version_edits import VersionEdit
from ota.builds.versions import VersionDraft
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
from ota.web.builds.note_fields import NoteRow
from ota.web.forms import ConfirmForm, EditForm, ExternalForm, UploadForm, seen_revision, show_error
from ota.web.frame import render_page, start_of_page
from ota.web.in_view import app_in_view
from ota.web.views import is_https

blueprint = Blueprint("admin_versions", __name__, url_prefix="/apps/<slug>/versions")

PAGE = 50


@blueprint.get("")
@page(Access.VIEW)
def index(slug: str) -> ResponseReturnValue:
    """The live releases of each channel, and all versions."""
    app, start, search = app_in_view(slug), start_of_page(), request.args.get("q", "").strip()[:100]
    found = versions.newest(reader(), app, search=search, limit=PAGE + 1, offset=start)
    return render_page(
        "builds/versions.html",
        "builds/_versions_table.html",
        upload_form=UploadForm(),
        app=app,
        search=search,
        start=start,
        page_size=PAGE,
        versions=found[:PAGE],
        has_more=len(found) > PAGE,
        live=release_rows.offered(reader(), app, now=utcnow()),
    )


@blueprint.get("/<int:version_id>")
@page(Access.VIEW)
def show(slug: str, version_id: int) -> ResponseReturnValue:
    """One version: its state, its file, its history."""
    app = app_in_view(slug)
    version = versions.get(reader(), version_id, app=app)
    return render_page(
        "builds/version.html", app=app, version=version, now=utcnow(), **_details(app, version)
    )


@blueprint.route("/<int:version_id>/edit", methods=["GET", "POST"])
@page(Access.PUBLISH)
def edit(slug: str, version_id: int) -> ResponseReturnValue:
    """Change notes and flags. A stale form comes back with what was typed, next to the present state."""
    version = versions.get(reader(), version_id, app=app_in_view(slug))
    form = EditForm(obj=version)
    if not form.is_submitted():
        return _edit_page(version, form, note_fields.with_empty(note_fields.rows_of(version)))
    rows = note_fields.rows_sent()
    if note_fields.wants_more():
        return _edit_page(version, form, [*note_fields.with_empty(rows), NoteRow("", "")])
    if not form.validate():
        return _edit_page(version, form, note_fields.with_empty(rows)), 422
    return _save(slug, version_id, form, rows)


@blueprint.route("/<int:version_id>/delete", methods=["GET", "POST"])
@page(Access.PUBLISH)
def delete(slug: str, version_id: int) -> ResponseReturnValue:
    """Delete a version that was never published, after a confirmation."""
    app, form = app_in_view(slug), ConfirmForm()
    version = versions.get(reader(), version_id, app=app)
    if not form.validate_on_submit():
        context: dict[str, Any] = {"what": "delete", "app": app, "version": version, "form": form}
        return render_page("frame/confirm.html", "builds/_confirm_delete.html", **context)
    with transaction() as session:
        found = versions.get(session, version_id, app=app)
        name = found.version
        versions.delete(session, actor(), found, now=utcnow())
    flash(f"Version {name} is deleted.")
    return redirect(url_for("admin_versions.index", slug=slug), 303)


@blueprint.route("/new", methods=["GET", "POST"])
@page(Access.PUBLISH)
def create(slug: str) -> ResponseReturnValue:
    """Add a version with an external file."""
    app, form = app_in_view(slug), ExternalForm()
    if form.validate_on_submit():
        try:
            version = _add_external(slug, form)
        except OtaError as error:
            show_error(form, error)
        else:
            flash(f"Version {version.version} is added. It is inactive until you publish it.")
            return redirect(url_for("admin_versions.show", slug=slug, version_id=version.id), 303)
    return render_page("builds/version_new.html", app=app, form=form), 422 if form.errors else 200


def _details(app: App, version: Version) -> dict[str, Any]:
    """Return what the page of a version shows in addition to its row."""
    subjects = [("version", version.id), *(("release", release.id) for release in version.releases)]
    channel = apps.find_channel(app, uploads.proposed_channel(reader(), version.id))
    before = build_facts.predecessor(reader(), version) if version.is_hosted_here else None
    return {
        "stranded": devices.stranded(reader(), version, now=utcnow()),
        "elsewhere": versions.channels_without(version),
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


def _save(slug: str, version_id: int, form: EditForm, rows: Sequence[NoteRow]) -> ResponseReturnValue:
    try:
        with transaction() as session:
            version = versions.get(session, version_id, app=apps.find(session, slug))
            changes = _changes(form, rows, version)
            revision = seen_revision(form) or 0
            version_edits.edit(session, actor(), version, changes, revision=revision, now=utcnow())
    except OtaError as error:
        return _show_again(slug, version_id, form, rows, error)
    flash(f"Version {version.version} is changed.")
    return redirect(url_for("admin_versions.show", slug=slug, version_id=version_id), 303)


def _changes(form: EditForm, rows: Sequence[NoteRow], version: Version) -> VersionEdit:
    has_rows = note_fields.are_sent()
    return VersionEdit(
        release_notes=form.release_notes.data or "",
        is_mandatory=form.is_mandatory.data,
        min_supported_version=form.min_supported_version.data or "",
        localized_notes=note_fields.changes(rows, version.localized_notes) if has_rows else None,
    )


def _show_again(
    slug: str, version_id: int, form: EditForm, rows: Sequence[NoteRow], error: OtaError
) -> ResponseReturnValue:
    version = versions.get(reader(), version_id, app=app_in_view(slug))
    is_about_notes = error.field in {"localized_notes", note_fields.LANGUAGE}
    if not is_about_notes:
        show_error(form, error)
    is_stale = isinstance(error, Conflict)
    if is_stale:
        form.revision.data = str(
            version.revision
        )  # The present state is shown, so sending again replaces it.
    context: dict[str, Any] = {
        "notes_wrong": error.sentence if is_about_notes else None,
        "is_stale": is_stale,
    }
    return _edit_page(version, form, note_fields.with_empty(rows), **context), 409 if is_stale else 422


def _edit_page(version: Version, form: EditForm, rows: Sequence[NoteRow], **context: Any) -> str:
    return render_page(
        "builds/version_edit.html", app=version.app, version=version, form=form, rows=rows, **context
    )


def _add_external(slug: str, form: ExternalForm) -> Version:
    draft = VersionDraft(
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
    with transaction() as session:
        app = apps.find(session, slug)
        return versions.add(session, actor(), app, draft, artifact=None, now=utcnow())
