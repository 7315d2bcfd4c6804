"""Uploads: sending a file, and where it is now."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ota.builds import uploads, versions
from ota.builds.uploads import UploadOrder
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader
from ota.devices import devices
from ota.errors import NotFound, OtaError
from ota.models import App, Upload
from ota.releases import rows as release_rows
from ota.web.access import actor, page
from ota.web.builds import receive
from ota.web.errors import status_of
from ota.web.forms import UploadForm, show_error
from ota.web.frame import render_page, start_of_page
from ota.web.in_view import app_in_view

blueprint = Blueprint("admin_uploads", __name__, url_prefix="/apps/<slug>/uploads")

PAGE = 50


@blueprint.get("")
@page(Access.VIEW)
def index(slug: str) -> ResponseReturnValue:
    """Everything that was sent, also what was rejected."""
    app = app_in_view(slug)
    start = start_of_page()
    found = uploads.newest(reader(), app, limit=PAGE + 1, offset=start)
    return render_page(
        "builds/uploads.html",
        app=app,
        uploads=found[:PAGE],
        start=start,
        page_size=PAGE,
        has_more=len(found) > PAGE,
    )


@blueprint.get("/new")
@page(Access.PUBLISH)
def new(slug: str) -> ResponseReturnValue:
    """Where a file is dropped."""
    app = app_in_view(slug)
    return render_page("builds/upload_new.html", app=app, upload_form=UploadForm(), **_repair(app))


@blueprint.post("")
@receive.receives_builds
@page(Access.PUBLISH)
def create(slug: str) -> ResponseReturnValue:
    """Take a file and show where it is."""
    app, form = app_in_view(slug), UploadForm()
    try:
        file = receive.received_file("file")
        order = UploadOrder(
            file_name=file.name,
            app=app.slug,
            release_notes=form.release_notes.data or None,
            is_mandatory=form.is_mandatory.data,
            min_supported_version=form.min_supported_version.data or None,
        )
        upload = receive.accept(file, order, actor())
    except OtaError as error:
        show_error(form, error)
        return render_page(
            "builds/upload_new.html", "builds/_upload_form.html", app=app_in_view(slug), upload_form=form
        ), _form_status(error)
    return _go_to(url_for("admin_uploads.show", slug=slug, upload_id=upload.id))


@blueprint.get("/<upload_id>")
@page(Access.VIEW)
def show(slug: str, upload_id: str) -> ResponseReturnValue:
    """Where one upload is. The status alone is what HTMX polls; it stops asking when the end is reached."""
    app = app_in_view(slug)
    upload = _upload(app, upload_id)
    return render_page("builds/upload.html", "builds/_upload_status.html", app=app, upload=upload)


def _repair(app: App) -> dict[str, Any]:
    """What the build is to repair, where the address names a version: that, what the code of the repair is, and how many wait for it."""
    version_id = request.args.get("repairs", type=int)
    if version_id is None:
        return {}
    version = versions.get(reader(), version_id, app=app)
    successor = (
        release_rows.successor(reader(), version.releases[0], now=utcnow()) if version.releases else None
    )
    return {
        "repaired": version,
        "successor": successor,
        "stranded": devices.stranded(reader(), version, now=utcnow()),
    }


def _upload(app: App, upload_id: str) -> Upload:
    upload = uploads.get(reader(), upload_id)
    if upload.app_id not in {None, app.id}:
        raise NotFound("unknown_upload", f"{app.name} has no upload with this id.")
    return upload


def _form_status(error: OtaError) -> int:
    return 422 if status_of(error) == 400 else status_of(error)


def _go_to(address: str) -> ResponseReturnValue:
    if request.headers.get("HX-Request") == "true":
        return Response(status=204, headers={"HX-Redirect": address})
    return redirect(address, 303)
