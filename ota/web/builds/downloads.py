"""Downloads: serve files whole or in ranges, so that a download can be resumed; always as attachments."""

from __future__ import annotations

import re
from typing import BinaryIO

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
"""Bytes per read: large enough that Python is not the bottleneck of a download."""


@blueprint.get("/downloads/<app_slug>/<platform>/<int:version_code>/<file_name>")
@declare(Access.PUBLIC, Caller.ANYONE)
def download(app_slug: str, platform: str, version_code: int, file_name: str) -> Response:
    """The bytes of an active version. 410 after it was withdrawn, 404 for any other address."""
    version = downloads.find(
        reader(),
        app_slug=app_slug,
        platform=platform,
        version_code=version_code,
        file_name=file_name,
        now=utcnow(),
    )
    return _response(version, file_name, _open(version))


def _open(version: Version) -> BinaryIO:
    assert version.checksum is not None
    store = part(ArtifactStore)
    try:
        return store.open(version.checksum)
    except FileNotFoundError:
        current_app.logger.error(
            "artifact %s of version %d is not in the store", version.checksum, version.id
        )
        raise NotFound(
            "artifact_missing", "The server has lost this file. Its operator finds the digest in the log."
        ) from None


def _response(version: Version, file_name: str, file: BinaryIO) -> Response:
    try:
        response = Response(wrap_file(request.environ, file, _BLOCK), direct_passthrough=True)
        _describe(response, version, file_name)
    except BaseException:
        file.close()
        raise
    if request.method == "HEAD" or response.status_code in {304, 412}:
        file.close()  # The server does not iterate over the body, so it would not close the file.
    if response.status_code == 412:
        response.response, response.content_length = [], 0
    return response


def _describe(response: Response, version: Version, file_name: str) -> None:
    assert version.checksum is not None
    assert version.file_size is not None
    response.mimetype = Platform(version.platform).media_type
    response.content_length = version.file_size
    response.last_modified = version.published_at
    response.set_etag(version.checksum)
    response.headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    # The bytes at this address never change, but a withdrawal must take effect: caches revalidate every time.
    response.headers["Cache-Control"] = "public, no-cache"
    response.headers["Accept-Ranges"] = "bytes"
    response.make_conditional(
        request.environ, accept_ranges=_is_range_wanted(response), complete_length=version.file_size
    )


def _is_range_wanted(response: Response) -> bool:
    # RFC 9110 lets a server ignore other units, several ranges, malformed ranges and a suffix longer than the
    # file.
    # If-Range must match strongly. In all these cases the answer is the whole file.
    match = _ONE_RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None or (match["suffix"] and int(match["suffix"]) >= (response.content_length or 0)):
        return False
    condition = request.headers.get("If-Range")
    return condition in {None, response.headers["ETag"], response.headers.get("Last-Modified")}
