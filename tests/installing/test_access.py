"""Who can open the install page and see icons, and what strangers get."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ota.apps import apps
from ota.clock import utcnow
from ota.core.install_access import InstallAccess
from ota.core.permissions import Role
from ota.db import reader, transaction
from ota.history.audit import SYSTEM
from ota.installing import share_links
from ota.models import ShareLink
from ota.web.installing import links
from tests.conftest import EMAILS, Api, csrf_of
from tests.installing.given import (
    png,
    publish_android,
    publish_ios,
    read_as,
    see,
    set_access,
)

pytestmark = pytest.mark.sqlite_suffices


def test_a_withdrawn_version_is_no_longer_handed_out(client: FlaskClient, api: Api) -> None:
    version_id = publish_android(api)
    assert api.post(f"/api/updates/deactivate/{version_id}").status_code == 200
    assert "No version for Android" in see(client)
    assert client.get("/install/my-app/android").status_code == 404
    assert client.get(f"/install/my-app/icon/{version_id}.png").status_code == 404


def test_install_access_decides_who_gets_in(app: Flask, client: FlaskClient, api: Api) -> None:
    android = publish_android(api)
    publish_ios(api)
    read_as(app, android, icon=png())
    paths = ("/install/my-app", "/install/my-app/android", "/install/my-app/ios.plist")
    set_access(app, InstallAccess.LINKS)
    for path in paths:
        answer = client.get(path)
        assert (answer.status_code, "only with a link" in answer.text) == (403, True), path
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
    assert (stale.status_code, "meanwhile" in stale.text) == (409, True)
    assert client.get("/install/my-app").status_code == 404
    wrong = admin.post(
        "/apps/my-app/install-access", data={**form, "install_access": "banana", "revision": "2"}
    )
    assert wrong.status_code == 422
    assert "who may install" in admin.get("/apps/my-app/activity").text
    publisher = sign_in()
    token = csrf_of(publisher.get("/account"))
    assert (
        publisher.post("/apps/my-app/install-access", data={**form, "csrf_token": token}).status_code == 403
    )


def test_a_publisher_finds_the_install_page(api: Api, sign_in: Callable[..., FlaskClient]) -> None:
    publish_android(api)
    assert 'href="/install/my-app"' in sign_in().get("/apps/my-app/versions").text
