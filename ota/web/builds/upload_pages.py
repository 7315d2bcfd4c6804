"""Pages for uploading a build and following its progress."""

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
from ota.errors import OtaError
from ota.models import App
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
    """All uploads, rejected ones included."""
    app, start = app_in_view(slug), start_of_page()
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
    """The form for a file."""
    app = app_in_view(slug)
    return render_page("builds/upload_new.html", app=app, upload_form=UploadForm(), **_repair(app))


@blueprint.post("")
@receive.receives_builds
@page(Access.PUBLISH)
def create(slug: str) -> ResponseReturnValue:
    """Receive a file and go to the page of its upload."""
    app, form = app_in_view(slug), UploadForm()
    try:
        file = receive.received_file("file")
        upload = receive.accept(file, _order(app, form, file.name), actor())
    except OtaError as error:
        show_error(form, error)
        return render_page(
            "builds/upload_new.html", "builds/_upload_form.html", app=app_in_view(slug), upload_form=form
        ), _form_status(error)
    return _go_to(url_for("admin_uploads.show", slug=slug, upload_id=upload.id))


@blueprint.get("/<upload_id>")
@page(Access.VIEW)
def show(slug: str, upload_id: str) -> ResponseReturnValue:
    """The state of one upload. HTMX polls the status alone, until the upload is finished."""
    app = app_in_view(slug)
    upload = uploads.get(reader(), upload_id, app=app)
    return render_page("builds/upload.html", "builds/_upload_status.html", app=app, upload=upload)


def _order(app: App, form: UploadForm, file_name: str) -> UploadOrder:
    return UploadOrder(
        file_name=file_name,
        app=app.slug,
        release_notes=form.release_notes.data or None,
        is_mandatory=form.is_mandatory.data,
        min_supported_version=form.min_supported_version.data or None,
    )


def _repair(app: App) -> dict[str, Any]:
    """Return the version that the build is to repair, if the address names one.

    Together with the version that is offered instead and the number of devices left behind.
    """
    version_id = request.args.get("repairs", type=int)
    if version_id is None:
        return {}
    version, now = versions.get(reader(), version_id, app=app), utcnow()
    last = next(iter(version.releases), None)
    return {
        "repaired": version,
        "successor": release_rows.successor(reader(), last, now=now) if last else None,
        "stranded": devices.stranded(reader(), version, now=now),
    }


def _form_status(error: OtaError) -> int:
    return 422 if status_of(error) == 400 else status_of(error)


def _go_to(address: str) -> ResponseReturnValue:
    if request.headers.get("HX-Request") == "true":
        return Response(status=204, headers={"HX-Redirect": address})
    return redirect(address, 303)
