"""The install page: what a visitor without an account gets on each device, and when it can't work."""

from __future__ import annotations

import plistlib
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from ota.clock import utcnow
from ota.core.platforms import ProfileType
from tests.conftest import Api, csrf_of, make_cast, settings_for
from tests.installing.given import (
    ANDROID_BUTTON,
    HOSTILE,
    IOS_BUTTON,
    IPHONE,
    MAC,
    PHONE,
    UDID,
    manifest_url,
    png,
    profile,
    publish_android,
    publish_ios,
    read_as,
    see,
)

pytestmark = pytest.mark.sqlite_suffices


def test_an_android_phone_gets_one_main_button_and_the_facts_of_the_build(
    app: Flask, client: FlaskClient, api: Api
) -> None:
    publish_ios(api)
    version_id = publish_android(api, 45, "2.4.0", notes="Sign in with a passkey")
    read_as(app, version_id, icon=png(), label="Field Service", min_sdk=26)
    page = see(client)
    assert page.count("button-main") == 1
    assert page.index(ANDROID_BUTTON) < page.index(IOS_BUTTON)
    for shown in (
        "<h1>Field Service</h1>",
        "2.4.0",
        "(45)",
        "Sign in with a passkey",
        "Android 8.0",
        'class="how"',
    ):
        assert shown in page
    assert f'src="/install/my-app/icon/{version_id}.png"' in page
    assert "<script" not in page
    assert "style=" not in page


def test_the_android_button_leads_to_the_file(client: FlaskClient, api: Api) -> None:
    publish_android(api, 45, "2.4.0")
    answer = client.get("/install/my-app/android")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
    assert answer.headers["Location"] == "/downloads/my-app/android/45/my-app-2.4.0-45.apk"
    assert client.head(answer.headers["Location"]).status_code == 200


def test_the_android_button_leads_to_an_external_file(client: FlaskClient, api: Api) -> None:
    elsewhere = "https://files.example.com/app.apk"
    body = {
        "platform": "android",
        "version": "3.0.0",
        "version_code": 50,
        "download_url": elsewhere,
        "checksum": "ab" * 32,
    }
    assert api.post("/api/updates/publish", body).status_code == 201
    assert "3.0.0" in see(client)
    assert client.get("/install/my-app/android").headers["Location"] == elsewhere


def test_an_iphone_gets_a_manifest_that_names_the_build(app: Flask, client: FlaskClient, api: Api) -> None:
    publish_android(api)
    version_id = publish_ios(api, "7", "1.2.0")
    read_as(app, version_id, icon=png(), label="A & B <dict>", minimum_os="15.0")
    page = see(client, IPHONE)
    assert page.index(IOS_BUTTON) < page.index(ANDROID_BUTTON)
    assert "iOS 15.0" in page
    url = manifest_url(page)
    assert url == "https://updates.example.com/install/my-app/ios.plist"
    answer = client.get(urlsplit(url).path)
    assert (answer.status_code, answer.mimetype, "Set-Cookie" in answer.headers) == (
        200,
        "application/xml",
        False,
    )
    item = plistlib.loads(answer.data)["items"][0]
    assert item["metadata"] == {
        "bundle-identifier": "com.example.app",
        "bundle-version": "1.2.0",
        "kind": "software",
        "title": "A & B <dict>",
    }
    assets = {asset["kind"]: asset["url"] for asset in item["assets"]}
    assert (
        assets["software-package"] == "https://updates.example.com/downloads/my-app/ios/7/my-app-1.2.0-7.ipa"
    )
    assert (
        assets["display-image"]
        == assets["full-size-image"]
        == f"https://updates.example.com/install/my-app/icon/{version_id}.png"
    )
    assert client.head(urlsplit(assets["software-package"]).path).status_code == 200
    assert client.get(urlsplit(assets["display-image"]).path).data == png()


@pytest.mark.parametrize("agent", [MAC, "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", ""])
def test_a_desktop_sees_both_platforms_and_a_code_to_scan(client: FlaskClient, api: Api, agent: str) -> None:
    publish_android(api)
    publish_ios(api)
    page = see(client, agent)
    assert 'aria-label="QR code of https://updates.example.com/install/my-app"' in page
    assert ANDROID_BUTTON in page
    assert IOS_BUTTON in page
    assert "style=" not in page


def test_a_phone_is_shown_no_platform_without_a_version(client: FlaskClient, api: Api) -> None:
    publish_android(api)
    assert "iPhone" not in see(client, PHONE)
    page = see(client, IPHONE)
    assert page.index("No version for iOS") < page.index(ANDROID_BUTTON)


def test_phones_are_shown_no_code(client: FlaskClient, api: Api) -> None:
    publish_android(api)
    assert "QR code" not in see(client, PHONE) + see(client, IPHONE)


def test_texts_from_a_build_are_shown_as_text(app: Flask, client: FlaskClient, api: Api) -> None:
    version_id = publish_android(api, 1, HOSTILE, notes=f"<script>alert(1)</script>{HOSTILE}")
    read_as(app, version_id, label=HOSTILE)
    for agent in (PHONE, MAC, IPHONE):
        page = see(client, agent)
        assert "&lt;img src=x onerror=alert(1)&gt;" in page
        assert "<img src=x" not in page
        assert "<script" not in page


def test_only_what_is_open_to_everybody_is_shown(client: FlaskClient, api: Api) -> None:
    publish_android(api, 1, "1.0.0")
    partial = api.version(2, "2.0.0")
    api.post(f"/api/versions/{partial['id']}/releases", {"rollout": 1000})
    page = see(client)
    assert "1.0.0" in page
    assert "2.0.0" not in page


def test_an_app_without_a_version_says_so(client: FlaskClient, api: Api) -> None:
    for agent, word in (
        (PHONE, "No version for Android"),
        (IPHONE, "No version for iOS"),
        (MAC, "No version for Android"),
    ):
        page = see(client, agent)
        assert word in page
        assert "button-large" not in page
    assert client.get("/install/my-app/android").status_code == 404
    refused = client.get("/install/my-app/ios.plist")
    assert (refused.status_code, "No version for iOS" in refused.text) == (404, True)


def test_without_https_ios_has_a_problem_and_android_a_warning(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, base_url="http://updates.example.com")
    app = create_app(settings)
    make_cast(app, settings)
    api, client = Api(app), app.test_client()
    publish_android(api)
    publish_ios(api)
    page = see(client, MAC)
    assert "begin with https" in page
    assert "itms-services" not in page
    assert "not encrypted" in page
    assert client.get("/install/my-app/android").status_code == 302
    refused = client.get("/install/my-app/ios.plist")
    assert (refused.status_code, "begin with https" in refused.text) == (404, True)


def test_an_expired_profile_replaces_the_button(app: Flask, client: FlaskClient, api: Api) -> None:
    version_id = publish_ios(api)
    read_as(app, version_id, profile=profile(utcnow() - timedelta(seconds=5)))
    page = see(client, IPHONE)
    assert "expired" in page
    assert "itms-services" not in page
    assert client.get("/install/my-app/ios.plist").status_code == 404
    soon = utcnow() + timedelta(days=3)
    read_as(app, version_id, profile=profile(soon))
    page = see(client, IPHONE)
    assert f"{soon.day} {soon:%B %Y}" in page
    assert "itms-services" in page


def test_an_enterprise_build_explains_how_to_trust_it(app: Flask, client: FlaskClient, api: Api) -> None:
    read_as(
        app, publish_ios(api), profile=profile(utcnow() + timedelta(days=300), ProfileType.ENTERPRISE, ())
    )
    page = see(client, IPHONE)
    assert "tap Trust" in page
    assert "registered" not in page


@pytest.mark.parametrize(
    ("udid", "status", "shown"),
    [
        (UDID, 200, "notice-good"),
        ("00008110 000a1b2c3d4e5f60\0", 200, "notice-good"),
        ("0" * 40, 200, "notice-bad"),
        ("00008110-zzzz1b2c3d4e5f60", 422, "no UDID"),
        ("x" * 101, 422, "longer than 100"),
        ("", 422, "Enter"),
    ],
)
def test_a_visitor_learns_whether_their_own_device_is_registered(
    app: Flask, client: FlaskClient, api: Api, udid: str, status: int, shown: str
) -> None:
    read_as(
        app,
        publish_ios(api),
        profile=profile(utcnow() + timedelta(days=300), devices=(UDID.lower().replace("-", ""), "f" * 40)),
    )
    page = client.get("/install/my-app", headers={"User-Agent": IPHONE})
    assert "2 devices" in page.text
    assert "f" * 40 not in page.text
    form = {"udid": udid, "csrf_token": csrf_of(page)}
    answer = client.post("/install/my-app/device", data=form, headers={"User-Agent": IPHONE})
    assert answer.status_code == status
    assert shown in answer.text
    assert "f" * 40 not in answer.text
