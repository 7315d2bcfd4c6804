"""The install page: what a visitor without an account sees, on each kind of device, and when it can't work."""

from __future__ import annotations

import plistlib
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from ota.apps import apps
from ota.clock import utcnow
from ota.core.install_access import InstallAccess
from ota.core.permissions import Role
from ota.core.platforms import ProfileType
from ota.db import reader, transaction
from ota.history.audit import SYSTEM
from ota.installing import share_links
from ota.models import ShareLink
from ota.web.installing import links
from tests.conftest import EMAILS, Api, csrf_of, make_cast, settings_for
from tests.installing.given import (
    IPHONE,
    MAC,
    PHONE,
    UDID,
    png,
    profile,
    publish_android,
    publish_ios,
    read_as,
)

pytestmark = pytest.mark.sqlite_suffices

HOSTILE = "<img src=x onerror=alert(1)>"


def see(client: FlaskClient, agent: str = PHONE, path: str = "/install/my-app", status: int = 200) -> str:
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
    with app.app_context(), transaction() as session:
        apps.find(session, None).install_access = access


def test_an_android_phone_gets_one_big_button_and_what_it_is_about(
    app: Flask, client: FlaskClient, api: Api
) -> None:
    publish_ios(api)
    version_id = publish_android(api, 45, "2.4.0", notes="Sign in with a passkey")
    read_as(app, version_id, icon=png(), label="Field Service", min_sdk=26)
    page = see(client)
    assert page.count("button-main") == 1
    assert page.index("Download for Android") < page.index("For iPhone and iPad")
    for told in (
        "<h1>Field Service</h1>",
        "2.4.0",
        "(45)",
        "Sign in with a passkey",
        "Android 8.0 or newer",
        "from this source",
    ):
        assert told in page
    assert f'src="/install/my-app/icon/{version_id}.png"' in page
    assert "<script" not in page
    assert "style=" not in page


def test_the_android_button_leads_to_the_file(client: FlaskClient, api: Api) -> None:
    publish_android(api, 45, "2.4.0")
    answer = client.get("/install/my-app/android")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
    assert answer.headers["Location"] == "/downloads/my-app/android/45/my-app-2.4.0-45.apk"
    assert client.head(answer.headers["Location"]).status_code == 200


def test_a_file_that_lives_elsewhere_is_led_to(client: FlaskClient, api: Api) -> None:
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
    assert page.index("Install on iPhone or iPad") < page.index("For Android")
    assert "iOS 15.0 or newer" in page
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
    assert "Download for Android" in page
    assert "Install on iPhone or iPad" in page
    assert "style=" not in page


def test_a_phone_is_not_told_of_a_platform_that_has_nothing(client: FlaskClient, api: Api) -> None:
    publish_android(api)
    assert "iPhone" not in see(client, PHONE)
    page = see(client, IPHONE)
    assert page.index("No version for iOS") < page.index("For Android")


def test_phones_are_shown_no_code(client: FlaskClient, api: Api) -> None:
    publish_android(api)
    assert "QR code" not in see(client, PHONE) + see(client, IPHONE)


def test_what_a_build_says_of_itself_is_text(app: Flask, client: FlaskClient, api: Api) -> None:
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
    for agent, told in (
        (PHONE, "No version for Android"),
        (IPHONE, "No version for iOS"),
        (MAC, "No version for Android"),
    ):
        page = see(client, agent)
        assert told in page
        assert "button-large" not in page
    assert client.get("/install/my-app/android").status_code == 404
    assert "No version for iOS can be installed" in client.get("/install/my-app/ios.plist").text


def test_a_withdrawn_version_is_no_longer_handed_out(client: FlaskClient, api: Api) -> None:
    version_id = publish_android(api)
    assert api.post(f"/api/updates/deactivate/{version_id}").status_code == 200
    assert "No version for Android" in see(client)
    assert client.get("/install/my-app/android").status_code == 404
    assert client.get(f"/install/my-app/icon/{version_id}.png").status_code == 404


def test_without_https_iphones_are_told_and_android_is_warned(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, base_url="http://updates.example.com")
    app = create_app(settings)
    make_cast(app, settings)
    api, client = Api(app), app.test_client()
    publish_android(api)
    publish_ios(api)
    page = see(client, MAC)
    assert "only from addresses that begin with https" in page
    assert "itms-services" not in page
    assert "This address is not encrypted" in page
    assert client.get("/install/my-app/android").status_code == 302
    refused = client.get("/install/my-app/ios.plist")
    assert (refused.status_code, "begin with https" in refused.text) == (404, True)


def test_an_expired_profile_is_said_instead_of_a_button_that_fails(
    app: Flask, client: FlaskClient, api: Api
) -> None:
    version_id = publish_ios(api)
    read_as(app, version_id, profile=profile(utcnow() - timedelta(seconds=5)))
    page = see(client, IPHONE)
    assert "expired on" in page
    assert "itms-services" not in page
    assert client.get("/install/my-app/ios.plist").status_code == 404
    read_as(app, version_id, profile=profile(utcnow() + timedelta(days=3)))
    page = see(client, IPHONE)
    assert "It stops working on" in page
    assert "itms-services" in page


def test_an_enterprise_build_says_how_to_trust_it(app: Flask, client: FlaskClient, api: Api) -> None:
    read_as(
        app, publish_ios(api), profile=profile(utcnow() + timedelta(days=300), ProfileType.ENTERPRISE, ())
    )
    page = see(client, IPHONE)
    assert "tap Trust" in page
    assert "registered" not in page


@pytest.mark.parametrize(
    ("udid", "status", "told"),
    [
        (UDID, 200, "Yes, this device is registered"),
        ("00008110 000a1b2c3d4e5f60\0", 200, "Yes, this device is registered"),
        ("0" * 40, 200, "No, this device is not registered"),
        ("00008110-zzzz1b2c3d4e5f60", 422, "That is no UDID"),
        ("x" * 101, 422, "longer than 100"),
        ("", 422, "Enter the UDID"),
    ],
)
def test_a_visitor_learns_whether_their_own_device_is_registered(
    app: Flask, client: FlaskClient, api: Api, udid: str, status: int, told: str
) -> None:
    read_as(
        app,
        publish_ios(api),
        profile=profile(utcnow() + timedelta(days=300), devices=(UDID.lower().replace("-", ""), "f" * 40)),
    )
    page = client.get("/install/my-app", headers={"User-Agent": IPHONE})
    assert "Only works on the 2 devices registered in its profile." in page.text
    assert "f" * 40 not in page.text
    form = {"udid": udid, "csrf_token": csrf_of(page)}
    answer = client.post("/install/my-app/device", data=form, headers={"User-Agent": IPHONE})
    assert answer.status_code == status
    assert told in answer.text
    assert "f" * 40 not in answer.text


def test_only_those_with_a_link_or_nobody_gets_in_when_the_app_says_so(
    app: Flask, client: FlaskClient, api: Api
) -> None:
    android = publish_android(api)
    publish_ios(api)
    read_as(app, android, icon=png())
    paths = ("/install/my-app", "/install/my-app/android", "/install/my-app/ios.plist")
    set_access(app, InstallAccess.LINKS)
    for path in paths:
        answer = client.get(path)
        assert (answer.status_code, "opens only with a link" in answer.text) == (403, True), path
    assert client.get(f"/install/my-app/icon/{android}.png").status_code == 404
    with app.app_context(), transaction() as session:
        link_id = share_links.create(
            session, SYSTEM, apps.find(session, "my-app"), name="testers", now=utcnow()
        ).id
    with app.test_request_context():
        address = links.share_url(reader().get_one(ShareLink, link_id))
    assert (
        'src="data:image/png;base64,' in client.get(address.removeprefix("https://updates.example.com")).text
    )
    set_access(app, InstallAccess.OFF)
    for path in (*paths, f"/install/my-app/icon/{android}.png"):
        assert client.get(path).status_code == 404, path
    assert client.get("/install/my-app").text.replace("my-app", "") == client.get(
        "/install/no-app"
    ).text.replace("no-app", "")


@pytest.mark.parametrize(
    "path",
    [
        "/install/nothing",
        "/install/nothing/android",
        "/install/nothing/ios.plist",
        "/install/nothing/icon/1.png",
    ],
)
def test_an_unknown_app_is_not_found(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, "There is no app" in answer.text) == (404, True)
    assert 'href="/"' not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/install/my-app", 405),
        ("GET", "/install/my-app/device", 405),
        ("DELETE", "/install/my-app/android", 405),
        ("POST", "/install/my-app/ios.plist", 405),
        ("GET", "/install/my-app%00", 404),
        ("GET", "/install/" + "x" * 5000, 404),
        ("GET", "/install/my-app/icon/99999999999999999999.png", 404),
        ("GET", "/install/my-app/icon/-1.png", 404),
        ("GET", "/install/my-app/ios.plist?token=garbage", 404),
        ("GET", "/install/my-app/ios.plist?token=", 404),
        ("GET", "/install/my-app/ios.plist?token=%00", 404),
    ],
)
def test_a_strange_request_is_refused_calmly(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    assert client.open(path, method=method).status_code == status


def test_icons_of_inactive_versions_are_for_people_who_are_logged_in(
    app: Flask, client: FlaskClient, api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    version_id = api.version()["id"]
    read_as(app, version_id, icon=png())
    assert client.get(f"/install/my-app/icon/{version_id}.png").status_code == 404
    assert client.get(f"/apps/my-app/versions/{version_id}/icon.png").status_code == 303
    viewer = sign_in(EMAILS[Role.VIEWER])
    answer = viewer.get(f"/apps/my-app/versions/{version_id}/icon.png")
    assert (answer.status_code, answer.mimetype, answer.data) == (200, "image/png", png())
    assert answer.headers["Cache-Control"] == "private, max-age=3600"
    etag = {"If-None-Match": answer.headers["ETag"]}
    assert viewer.get(f"/apps/my-app/versions/{version_id}/icon.png", headers=etag).status_code == 304
    read_as(app, version_id, icon=None)
    assert viewer.get(f"/apps/my-app/versions/{version_id}/icon.png").status_code == 404


def test_an_icon_is_found_only_under_its_own_app(app: Flask, client: FlaskClient, api: Api) -> None:
    version_id = publish_android(api)
    read_as(app, version_id, icon=png())
    with app.app_context(), transaction() as session:
        apps.create(session, SYSTEM, slug="other", name="Other", now=utcnow())
    answer = client.get(f"/install/my-app/icon/{version_id}.png")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=3600")
    assert client.get(f"/install/other/icon/{version_id}.png").status_code == 404


def test_an_administrator_decides_who_may_install(
    app: Flask, sign_in: Callable[..., FlaskClient], client: FlaskClient
) -> None:
    admin = sign_in(EMAILS[Role.ADMIN])
    page = admin.get("/apps/my-app/settings")
    form = {"install_access": "off", "revision": "1", "csrf_token": csrf_of(page)}
    assert admin.post("/apps/my-app/install-access", data=form).status_code == 303
    assert client.get("/install/my-app").status_code == 404
    stale = admin.post("/apps/my-app/install-access", data={**form, "install_access": "open"})
    assert (stale.status_code, "Somebody changed this app meanwhile" in stale.text) == (409, True)
    assert client.get("/install/my-app").status_code == 404
    wrong = admin.post(
        "/apps/my-app/install-access", data={**form, "install_access": "banana", "revision": "2"}
    )
    assert wrong.status_code == 422
    assert "changed who may install" in admin.get("/apps/my-app/activity").text
    publisher = sign_in()
    token = csrf_of(publisher.get("/account"))
    assert (
        publisher.post("/apps/my-app/install-access", data={**form, "csrf_token": token}).status_code == 403
    )


def test_a_publisher_finds_the_install_page(api: Api, sign_in: Callable[..., FlaskClient]) -> None:
    publish_android(api)
    assert 'href="/install/my-app"' in sign_in().get("/apps/my-app/versions").text
