"""Builds of two signers, published versions, and what the preflight finds about them."""

from __future__ import annotations

import re
from typing import Any

from flask.testing import FlaskClient

from ota.db import db, reader
from ota.models import Upload
from tests.builders.keys import Signer, signer
from tests.builders.packages import apk_entries, archive
from tests.builders.schemes import By, lineage, signed
from tests.conftest import Api, csrf_of

OLD, NEW = signer("Old key"), signer("New key")


def rotated(code: int, *signers: Signer, **build: Any) -> bytes:
    """An APK signed with v3 by the last of the signers, with the lineage from the first."""
    by = By(signers[-1], attributes=[lineage(*signers)])
    return signed(archive(apk_entries(code=code, min_sdk=28, **build)), v3=[by])


def published(api: Api, content: bytes, name: str = "app.apk") -> dict[str, Any]:
    """Upload a build and publish it; return its version."""
    upload = api.upload(content, name)
    assert upload["status"] == "ready", upload
    answer = api.post(f"/api/versions/{upload['version']['id']}/activate")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json["version"]
    return found


def checks_of(api: Api, version: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The preflight checks of a version, by name."""
    listed = api.get(f"/api/versions/{version['id']}/preflight").json["checks"]
    return {check["name"]: check for check in listed}


def allow(browser: FlaskClient, *exceptions: str) -> None:
    """Let an administrator make these exceptions for the app, and no others."""
    page = browser.get("/apps/my-app/settings")
    revision = re.search(r'name="revision" (?:type="hidden" )?value="(\d+)"', page.text)
    assert revision
    sent = {"csrf_token": csrf_of(page), "revision": revision[1], **dict.fromkeys(exceptions, "y")}
    assert browser.post("/apps/my-app/trust", data=sent).status_code == 303


def library(*abis: str) -> dict[str, bytes]:
    return {f"lib/{abi}/libown.so": b"\x7fELF" for abi in abis}


def row(upload_id: str) -> Upload:
    """The upload's row as it is now."""
    db.session.rollback()
    return reader().get_one(Upload, upload_id)
