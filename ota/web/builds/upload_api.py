"""JSON operations on uploads."""

from __future__ import annotations

from flask import Blueprint, g

from ota.builds import uploads
from ota.builds.uploads import UploadOrder
from ota.core.permissions import Access
from ota.db import reader
from ota.web import views
from ota.web.builds import receive
from ota.web.operation import FILE_FIELD, MANAGING, Operation, operation
from ota.web.shapes import UploadAnswer, UploadFields

blueprint = Blueprint("manage_uploads", __name__)


@blueprint.post("/api/uploads")
@receive.receives_builds
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="Upload a build",
        tag=MANAGING,
        form=UploadFields,
        answer=UploadAnswer,
        status=202,
    )
)
def create(fields: UploadFields) -> UploadAnswer:
    """Send an APK or IPA in the field ``file``.

    The answer comes as soon as the bytes are safe. Follow the progress at ``status_url``.
    """
    file = receive.received_file(FILE_FIELD)
    upload = receive.accept(file, _order(fields, file.name), g.actor)
    return UploadAnswer(upload=views.upload_view(upload))


@blueprint.get("/api/uploads/<upload_id>")
@operation(Operation(access=Access.VIEW, summary="Follow an upload", tag=MANAGING, answer=UploadAnswer))
def show(upload_id: str) -> UploadAnswer:
    """The state of an upload: received, processing, ready with its version, or rejected with the reason."""
    return UploadAnswer(upload=views.upload_view(uploads.get(reader(), upload_id)))


def _order(fields: UploadFields, file_name: str) -> UploadOrder:
    return UploadOrder(
        file_name=file_name,
        app=fields.app,
        channel=fields.channel,
        release_notes=fields.release_notes,
        is_mandatory=fields.is_mandatory,
        min_supported_version=fields.min_supported_version,
        platform=fields.platform,
        version=fields.version,
        version_code=fields.version_code,
    )
