"""Builds as the worker reads them, browsers as phones have them, and what an install page holds."""

from __future__ import annotations

import io
import re
from datetime import datetime
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from ota.apps import apps
from ota.core.install_access import InstallAccess
from ota.core.platforms import ProfileType
from ota.db import transaction
from ota.models import Artifact, Version
from tests.builders.packages import apk, ipa
from tests.conftest import Api, csrf_of

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
PHONE = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.5 Safari/605.1.15"
ANDROID_BUTTON = 'href="/install/my-app/android"'
IOS_BUTTON = 'href="itms-services:'
HOSTILE = "<img src=x onerror=alert(1)>"
PASSWORD = "open sesame"
UDID = "00008110-000A1B2C3D4E5F60"


def png(color: str = "#3552c8") -> bytes:
    """An icon."""
    target = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(target, "PNG")
    return target.getvalue()


def profile(
    expires_at: datetime, kind: ProfileType = ProfileType.AD_HOC, devices: tuple[str, ...] = (UDID,)
) -> dict[str, Any]:
    """A provisioning profile as an artifact's row stores it."""
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
    """Change the facts and the icon of a version."""
    with app.app_context(), transaction() as session:
        artifact = session.get_one(Artifact, session.get_one(Version, version_id).artifact_id)
        artifact.facts = {**artifact.facts, **facts}
        artifact.icon = icon


def publish_android(api: Api, code: int = 1, version: str = "1.0.0", notes: str | None = None) -> int:
    """Publish an Android version to all devices; return its id."""
    return _publish(api, api.upload(apk(version=version, code=code)), notes)


def publish_ios(api: Api, build: str = "1", version: str = "1.0.0", notes: str | None = None) -> int:
    """Publish an iOS version to all devices; return its id."""
    return _publish(api, api.upload(ipa(version=version, build=build), "app.ipa"), notes)


def _publish(api: Api, upload: dict[str, Any], notes: str | None) -> int:
    """Publish the version of an upload to all devices; return its id."""
    version_id: int = upload["version"]["id"]
    if notes:
        api.patch(f"/api/versions/{version_id}", {"release_notes": notes})
    assert api.post(f"/api/versions/{version_id}/activate").status_code == 200
    return version_id


def see(client: FlaskClient, agent: str = PHONE, path: str = "/install/my-app", status: int = 200) -> str:
    """The page as this browser gets it, with this status."""
    answer = client.get(path, headers={"User-Agent": agent})
    assert answer.status_code == status, answer.text
    return answer.text


def manifest_url(page: str) -> str:
    """The address that the iOS button hands to the phone."""
    found = re.search(r'href="(itms-services:[^"]+)"', page)
    assert found, page
    parts = urlsplit(unescape(found[1]))
    query = parse_qs(parts.query)
    assert (parts.scheme, query["action"]) == ("itms-services", ["download-manifest"])
    return query["url"][0]


def set_access(app: Flask, access: InstallAccess) -> None:
    """Set who can open the install page of the app."""
    with app.app_context(), transaction() as session:
        apps.find(session, None).install_access = access


def make_link(api: Api, **body: Any) -> tuple[int, str]:
    """Create a link; return its id and the path of its address."""
    answer = api.post("/api/share-links", {"name": "Testers", **body})
    assert answer.status_code == 201, answer.text
    assert answer.json["url"].startswith("https://updates.example.com/install/my-app/s/")
    return answer.json["share_link"]["id"], urlsplit(answer.json["url"]).path


def unlock(browser: FlaskClient, path: str, password: str = PASSWORD, address: str = "10.0.0.1") -> Any:
    """Send the password of a share link from this address."""
    form = {"password": password, "csrf_token": csrf_of(browser.get(path))}
    return browser.post(path, data=form, environ_base={"REMOTE_ADDR": address})
