"""Receiving builds: straight to disk, block by block, and into the queue once the bytes are safe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any, TypeVar

from flask import Flask, Request, current_app, g, request

from ota.builds import pipeline, uploads
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
"""Room for the other fields of the form and its boundaries."""


_WORTH_DRAINING = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file of the form, still to be kept."""

    name: str
    bytes: IncomingFile


class BuildRequest(Request):
    """A request whose files go to the quarantine where its view receives builds."""

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        if not _view_receives_builds():
            return super()._get_file_stream(total_content_length, content_type, filename, content_length)
        file = _incoming().begin()
        g.setdefault("incoming_files", []).append(file)
        return file.stream


def receives_builds(view: View) -> View:
    """Mark a view as one that takes files up to the largest allowed size."""
    view.__receives_builds__ = True  # type: ignore[attr-defined]
    return view


def init_app(app: Flask) -> None:
    """Stream files to the quarantine, bound every body, leave nothing behind."""
    app.request_class = BuildRequest
    app.before_request(limit_body)
    app.teardown_request(discard_leftovers)


def limit_body() -> None:
    """Refuse a body that announces more than its address takes, before it is read; cut off one that lies."""
    if not _view_receives_builds():
        spec: Operation | None = getattr(_view(), "__operation__", None)
        most = spec.most_bytes if spec else MAX_BODY_BYTES
        request.max_content_length = most + 1  # One more, to tell "too large" from "just fits".
        if (request.content_length or 0) > most:
            _drain()
            raise body_too_large(spec)
        return
    largest = _settings().max_upload_bytes
    request.max_content_length = largest + _FORM_OVERHEAD
    if (request.content_length or 0) > largest + _FORM_OVERHEAD:
        raise file_too_large(largest)


def _drain() -> None:
    # Simple clients read the answer only after they have sent everything; ones that send far too much are cut off.
    if (request.content_length or 0) <= _WORTH_DRAINING:
        stream = request.environ["wsgi.input"]
        while stream.read(65_536):
            pass


def file_too_large(largest: int) -> TooLarge:
    return TooLarge(
        "file_too_large",
        f"The file is larger than this server takes: {largest:,} bytes (OTA_MAX_UPLOAD_BYTES).",
        limit=largest,
    )


def received_file(field: str) -> ReceivedFile:
    """The file in this field of the form. Raises `Invalid` when there is none."""
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
    """Keep the bytes, note the upload, and only then tell the queue."""
    settings = _settings()
    upload_id = file.bytes.upload_id
    try:
        size = file.bytes.keep()
        if size > settings.max_upload_bytes:
            raise file_too_large(settings.max_upload_bytes)
        with transaction() as session:
            lease = timedelta(seconds=settings.lease_seconds)
            upload = uploads.receive(
                session, actor, order, upload_id=upload_id, size=size, now=utcnow(), lease=lease
            )
    except BaseException:
        _incoming().remove(upload_id)
        raise
    if not queue.enqueue(current_app, queue.PROCESS_UPLOAD, upload_id):
        with transaction() as session:
            pipeline.expect_no_message(session, upload_id, now=utcnow())
    return upload


def discard_leftovers(error: BaseException | None) -> None:
    """Whatever arrived and was not kept goes away with its request."""
    for file in g.pop("incoming_files", []):
        file.discard()


def _view_receives_builds() -> bool:
    return getattr(_view(), "__receives_builds__", False)


def _view() -> Callable[..., Any] | None:
    return current_app.view_functions.get(request.endpoint or "")


def _incoming() -> Incoming:
    return part(Incoming)


def _settings() -> Settings:
    return part(Settings)
