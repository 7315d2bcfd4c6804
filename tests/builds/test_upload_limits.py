"""Size limits: of an upload, of any other body, and before anything is read from a stranger."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from ota.config import Settings
from ota.parts import part
from tests.builders.packages import apk
from tests.conftest import Api, bearer, settings_for

pytestmark = pytest.mark.sqlite_suffices

MIB = 1024 * 1024


class Counted(io.RawIOBase):
    """A body of ``size`` bytes that counts how many of them were read."""

    def __init__(self, size: int) -> None:
        self.size, self.position, self.count = size, 0, 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = (0, self.position, self.size)[whence] + offset
        return self.position

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        self.count += len(buffer)
        return len(buffer)


class Unsized(io.BytesIO):
    """A body whose length is not known beforehand."""

    def seek(self, offset: int, whence: int = 0) -> int:
        return 0

    def tell(self) -> int:
        return 0


@pytest.fixture
def small(tmp_path: Path, database_url: str) -> Flask:
    return create_app(settings_for(tmp_path, database_url=database_url, max_upload_bytes=2 * MIB))


def test_a_file_that_announces_too_much_is_refused_unread(small: Flask) -> None:
    body = Counted(100 * MIB)
    answer = small.test_client().post(
        "/api/uploads",
        input_stream=body,
        headers=bearer(),
        content_type="multipart/form-data; boundary=x",
    )
    assert (answer.status_code, answer.json["code"]) == (413, "file_too_large")
    assert answer.json["details"]["limit"] == 2 * MIB
    assert body.count == 0


def test_a_file_that_is_too_large_without_announcing_it_is_refused(small: Flask) -> None:
    answer = Api(small).send(b"PK\x03\x04" + b"x" * (2 * MIB + 5))
    assert (answer.status_code, answer.json["code"]) == (413, "file_too_large")
    assert list((Path(part(Settings, small).incoming_path)).iterdir()) == []


def test_a_file_of_just_the_right_size_is_taken(small: Flask) -> None:
    assert Api(small).send(b"x" * 2 * MIB).status_code == 202


def test_a_stranger_is_refused_before_the_body_is_read(small: Flask) -> None:
    body = Counted(MIB)
    answer = small.test_client().post(
        "/api/uploads", input_stream=body, content_type="multipart/form-data; boundary=x"
    )
    assert (answer.status_code, answer.json["code"]) == (401, "token_missing")
    assert body.count == 0


def test_a_json_body_of_ten_megabytes_is_refused(api: Api) -> None:
    answer = api.client.post("/api/updates/check", data=b"[" * 10_000_000, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


def test_a_full_disk_is_507_and_leaves_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    # A disk that is really full needs a file system of its own: see the end-to-end tests.
    monkeypatch.setattr(os, "fsync", full)
    answer = api.send(apk())
    monkeypatch.undo()
    assert (answer.status_code, answer.json["code"]) == (507, "storage_full")
    assert list(part(Settings, api.app).incoming_path.iterdir()) == []
    assert api.send(apk()).status_code == 202


def test_a_chunked_json_body_that_is_too_large_is_413_too(client: FlaskClient) -> None:
    body = b'{"platform": "' + b"x" * 300_000 + b'"}'
    environ = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = client.post(
        "/api/updates/check",
        input_stream=Unsized(body),
        content_type="application/json",
        environ_base=environ,
    )
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


def test_a_login_form_is_bounded_before_it_is_read(client: FlaskClient) -> None:
    body = Counted(100 * MIB)
    answer = client.post("/login", input_stream=body, content_type="multipart/form-data; boundary=x")
    assert (answer.status_code, body.count) == (413, 0)
