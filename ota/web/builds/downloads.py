"""Handing out files: whole, in parts, resumable; always as attachments."""

from __future__ import annotations

import re

from flask import Blueprint, Response, current_app, request
from werkzeug.wsgi import wrap_file

from ota.builds import downloads
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.core.platforms import Platform
from ota.db import reader
from ota.errors import NotFound
from ota.models import Version
from ota.parts import part
from ota.storage import ArtifactStore
from ota.web.access import Caller, declare

blueprint = Blueprint("downloads", __name__)

_ONE_RANGE = re.compile(r"bytes=(?:[0-9]{1,19}-[0-9]{0,19}|-(?P<suffix>[0-9]{1,19}))")
_BLOCK = 256 * 1024
"""Large enough that Python is not the bottleneck of a download."""


@blueprint.get("/downloads/<app_slug>/<platform>/<int:version_code>/<file_name>")
@declare(Access.PUBLIC, Caller.ANYONE)
def download(app_slug: str, platform: str, version_code: int, file_name: str) -> Response:
    """The bytes of an active version; 410 after it was withdrawn, 404 for anything else."""
    version = downloads.find(
        reader(),
        app_slug=app_slug,
        platform=platform,
        version_code=version_code,
        file_name=file_name,
        now=utcnow(),
    )
    store = part(ArtifactStore)
    assert version.checksum is not None
    try:
        file = store.open(version.checksum)
    except FileNotFoundError:
        current_app.logger.error(
            "the artifact %s of version %d is not in the store", version.checksum, version.id
        )
        raise NotFound(
            "artifact_missing", "The server has lost this file. Its operator finds the digest in the log."
        ) from None
    try:
        response = _described(
            Response(wrap_file(request.environ, file, _BLOCK), direct_passthrough=True), version, file_name
        )
    except BaseException:
        file.close()
        raise
    if request.method == "HEAD" or response.status_code in {304, 412}:
        file.close()  # Nobody will read it, so nobody would close it.
    if response.status_code == 412:
        response.response, response.content_length = [], 0
    return response


def _described(response: Response, version: Version, file_name: str) -> Response:
    assert version.checksum is not None
    assert version.file_size is not None
    response.mimetype = Platform(version.platform).media_type
    response.content_length = version.file_size
    response.last_modified = version.published_at
    response.set_etag(version.checksum)
    response.headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    # The address names one immutable file, but a withdrawal has to be seen: caches ask every time.
    response.headers["Cache-Control"] = "public, no-cache"
    response.headers["Accept-Ranges"] = "bytes"
    response.make_conditional(
        request.environ, accept_ranges=_is_range_wanted(response), complete_length=version.file_size
    )
    return response


def _is_range_wanted(response: Response) -> bool:
    # What RFC 9110 lets us ignore is ignored: other units, several ranges at once, nonsense, a suffix longer than the
    # file. If-Range must name these very bytes, strongly. In every other case the whole file comes.
    match = _ONE_RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None or (match["suffix"] and int(match["suffix"]) >= (response.content_length or 0)):
        return False
    condition = request.headers.get("If-Range")
    return condition in {None, response.headers["ETag"], response.headers.get("Last-Modified")}
