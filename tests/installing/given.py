"""Builds as the worker would have read them, and browsers as phones have them."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

from flask import Flask
from PIL import Image

from ota.core.platforms import ProfileType
from ota.db import transaction
from ota.models import Artifact, Version
from tests.builders.packages import apk, ipa
from tests.conftest import Api

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1"
PHONE = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15"
UDID = "00008110-000A1B2C3D4E5F60"


def png(colour: str = "#3552c8") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(target, "PNG")
    return target.getvalue()


def profile(
    expires_at: datetime, kind: ProfileType = ProfileType.AD_HOC, devices: tuple[str, ...] = (UDID,)
) -> dict[str, Any]:
    """A provisioning profile as it is kept."""
    return {
        "type": kind.value,
        "name": "Field",
        "team_id": "ABCDE12345",
        "team_name": "Example",
        "expires_at": expires_at.isoformat(),
        "app_id": "ABCDE12345.com.example.app",
        "devices": list(devices),
        "entitlements": {},
    }


def read_as(app: Flask, version_id: int, icon: bytes | None = None, **facts: Any) -> None:
    """Change what was read from a version's file."""
    with app.app_context(), transaction() as session:
        artifact = session.get_one(Artifact, session.get_one(Version, version_id).artifact_id)
        artifact.facts = {**artifact.facts, **facts}
        artifact.icon = icon


def publish_android(api: Api, code: int = 1, version: str = "1.0.0", notes: str | None = None) -> int:
    """A version that everybody is offered; answers its id."""
    return publish(api, api.upload(apk(version=version, code=code)), notes)


def publish_ios(api: Api, build: str = "1", version: str = "1.0.0", notes: str | None = None) -> int:
    return publish(api, api.upload(ipa(version=version, build=build), "app.ipa"), notes)


def publish(api: Api, upload: dict[str, Any], notes: str | None) -> int:
    version_id: int = upload["version"]["id"]
    if notes:
        api.patch(f"/api/versions/{version_id}", {"release_notes": notes})
    assert api.post(f"/api/versions/{version_id}/activate").status_code == 200
    return version_id
