"""Receive builds: stream files to the quarantine, enforce size limits, and queue uploads once they are safe.

The size limit of an upload, ``OTA_MAX_UPLOAD_BYTES``, is enforced twice:

* `_limit_upload` runs before the body is read. It refuses a body whose announced length is above the limit
  plus room for the other fields of the form, and has a body that is longer than that cut off.
* `_keep_within_limit` runs when the file is complete. It refuses a file above the limit by its exact size.

All other bodies are limited by `_limit_other_body`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any, TypeVar

from flask import Flask, Request, current_app, g, request

from ota.builds import leases, uploads
from ota.builds.uploads import UploadOrder
from ota.clock import utcnow
from ota.config import Settings
from ota.db import transaction
from ota.errors import Invalid, TooLarge
from ota.history.audit import Actor
from ota.machine import queue
from ota.models import Upload
from ota.parts import part
from ota.storage.incoming import Incoming, IncomingFile
from ota.web.operation import MAX_BODY_BYTES, Operation, body_too_large

View = TypeVar("View", bound=Callable[..., Any])

_FORM_OVERHEAD = 1024 * 1024
"""Bytes for the boundaries and the other fields of an upload's form."""

_WORTH_DRAINING = 16 * 1024 * 1024
"""Largest refused body, in bytes, that is read to its end so that a simple client sees the answer."""


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file of the form, not yet kept."""

    name: str
    bytes: IncomingFile


class BuildRequest(Request):
    """A request whose files are streamed to the quarantine if its view receives builds."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        if not _view_receives_builds():
            return super()._get_file_stream(total_content_length, content_type, filename, content_length)
        file = part(Incoming).begin()
        g.setdefault("incoming_files", []).append(file)
        return file.stream


def receives_builds(view: View) -> View:
    """Mark a view as one that receives files of up to ``OTA_MAX_UPLOAD_BYTES``."""
    view.__receives_builds__ = True  # type: ignore[attr-defined]
    return view


def init_app(app: Flask) -> None:
    """Limit every body, stream builds to the quarantine, and remove files that were not kept."""
    app.request_class = BuildRequest
    app.before_request(limit_body)
    app.teardown_request(discard_leftovers)


def limit_body() -> None:
    """Limit the body before it is read. Raises `TooLarge` if its announced length is above the limit."""
    if _view_receives_builds():
        _limit_upload(part(Settings).max_upload_bytes)
    else:
        _limit_other_body(getattr(_view(), "__operation__", None))


def _limit_upload(largest: int) -> None:
    request.max_content_length = largest + _FORM_OVERHEAD
    if (request.content_length or 0) > largest + _FORM_OVERHEAD:
        raise _file_too_large(largest)


def _limit_other_body(spec: Operation | None) -> None:
    most = spec.most_bytes if spec else MAX_BODY_BYTES
    request.max_content_length = most + 1  # One more byte, to tell "too large" from "just fits".
    if (request.content_length or 0) > most:
        _drain()
        raise body_too_large(spec)


def _drain() -> None:
    # Simple clients read the answer only after they have sent everything. Those that send far too much are
    # cut off.
    if (request.content_length or 0) <= _WORTH_DRAINING:
        stream = request.environ["wsgi.input"]
        while stream.read(65_536):
            pass


def _file_too_large(largest: int) -> TooLarge:
    return TooLarge(
        "file_too_large",
        f"The file is larger than this server takes: {largest:,} bytes (OTA_MAX_UPLOAD_BYTES).",
        limit=largest,
    )


def received_file(field: str) -> ReceivedFile:
    """Return the file in this field of the form. Raises `Invalid` if there is none."""
    storage = request.files.get(field)
    if storage is not None and storage.filename:
        for file in g.get("incoming_files", []):
            if file.stream is storage.stream:
                return ReceivedFile(storage.filename, file)
    raise Invalid(
        "missing_file",
        f"No file arrived in the field '{field}'. Send the APK or IPA as multipart/form-data.",
        field=field,
    )


def accept(file: ReceivedFile, order: UploadOrder, actor: Actor) -> Upload:
    """Keep the file, add its upload, and queue it after the commit.

    Raises `TooLarge` for a file above the limit, `StorageFull`, and what `ota.builds.uploads.receive` raises;
    the file is then removed.
    """
    upload_id = file.bytes.upload_id
    try:
        upload = _add(order, actor, upload_id, _keep_within_limit(file.bytes))
    except BaseException:
        part(Incoming).remove(upload_id)
        raise
    if not queue.enqueue(current_app, queue.PROCESS_UPLOAD, upload_id):
        with transaction() as session:
            leases.expire(session, upload_id, now=utcnow())
    return upload


def _keep_within_limit(file: IncomingFile) -> int:
    """Make the file safe and return its size in bytes. Raises `TooLarge`."""
    size, largest = file.keep(), part(Settings).max_upload_bytes
    if size > largest:
        raise _file_too_large(largest)
    return size


def _add(order: UploadOrder, actor: Actor, upload_id: str, size: int) -> Upload:
    lease = timedelta(seconds=part(Settings).lease_seconds)
    with transaction() as session:
        return uploads.receive(
            session, actor, order, upload_id=upload_id, size=size, now=utcnow(), lease=lease
        )


def discard_leftovers(error: BaseException | None) -> None:
    """Remove the request's files that were not kept."""
    for file in g.pop("incoming_files", []):
        file.discard()


def _view_receives_builds() -> bool:
    return getattr(_view(), "__receives_builds__", False)


def _view() -> Callable[..., Any] | None:
    return current_app.view_functions.get(request.endpoint or "")
