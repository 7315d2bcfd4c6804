"""Share links as visitors open them: passwords, counts, manifests, forged addresses."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeSerializer

from app import create_app
from ota.apps import apps
from ota.clock import utcnow
from ota.core.install_access import InstallAccess
from ota.core.permissions import Role
from ota.db import reader, transaction
from ota.history.audit import SYSTEM
from ota.installing import share_links
from ota.models import ShareLink
from ota.web.installing import pages as installing_pages
from tests.conftest import EMAILS, Api, csrf_of, make_cast, settings_for
from tests.installing.given import (
    IPHONE,
    PASSWORD,
    make_link,
    manifest_url,
    publish_android,
    publish_ios,
    set_access,
    unlock,
)

pytestmark = pytest.mark.sqlite_suffices


PASSWORD_FIELD = 'name="password"'


def counts(app: Flask, link_id: int) -> tuple[int, int]:
    """Views and downloads of a link."""
    with app.app_context():
        link = share_links.get(reader(), link_id)
        return link.views, link.downloads


def change(app: Flask, link_id: int, **values: Any) -> None:
    with app.app_context(), transaction() as session:
        for name, value in values.items():
            setattr(session.get_one(ShareLink, link_id), name, value)


@pytest.mark.parametrize("access", [InstallAccess.OPEN, InstallAccess.LINKS])
def test_a_link_opens_the_page_and_counts(
    app: Flask, client: FlaskClient, api: Api, access: InstallAccess
) -> None:
    publish_android(api, 45, "2.4.0")
    link_id, path = make_link(api)
    set_access(app, access)
    page = client.get(path)
    assert (page.status_code, "2.4.0" in page.text, "good until" in page.text) == (
        200,
        True,
        True,
    )
    client.get(path)
    client.head(path)
    assert counts(app, link_id) == (2, 0)
    assert f'href="{path}/android"' in client.get(path, headers={"User-Agent": "Android"}).text
    assert client.get(f"{path}/android").headers["Location"].startswith("/downloads/my-app/android/45/")
    client.head(f"{path}/android")
    assert counts(app, link_id) == (3, 1)


def test_the_page_that_is_open_to_everybody_counts_for_no_link(
    app: Flask, client: FlaskClient, api: Api
) -> None:
    publish_android(api)
    link_id, _ = make_link(api)
    client.get("/install/my-app")
    client.get("/install/my-app/android")
    assert counts(app, link_id) == (0, 0)


def test_an_iphone_gets_a_manifest_without_cookies_for_an_hour(
    app: Flask, client: FlaskClient, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_ios(api)
    link_id, path = make_link(api, password=PASSWORD)
    set_access(app, InstallAccess.LINKS)
    unlock(client, path)
    url = urlsplit(manifest_url(client.get(path, headers={"User-Agent": IPHONE}).text))
    address = f"{url.path}?{url.query}"
    phone = app.test_client()
    assert phone.get(url.path).status_code == 403
    assert phone.get(address).status_code == 200
    phone.head(address)
    assert counts(app, link_id) == (1, 1)
    assert phone.get(f"/install/other/ios.plist?{url.query}").status_code == 404
    assert phone.get(f"{address[:-3]}abc").status_code == 404
    monkeypatch.setattr(installing_pages, "utcnow", lambda: utcnow() + timedelta(hours=1, seconds=1))
    late = phone.get(address)
    assert (late.status_code, "good for an hour" in late.text) == (410, True)
    assert counts(app, link_id) == (1, 1)


@pytest.mark.parametrize(
    ("change_to", "word"),
    [
        ({"revoked_at": utcnow()}, "taken back"),
        ({"expires_at": utcnow() - timedelta(seconds=1)}, "has expired"),
    ],
)
@pytest.mark.parametrize("access", list(InstallAccess))
def test_a_link_that_ended_in_between_is_gone_everywhere(
    app: Flask, client: FlaskClient, api: Api, change_to: dict[str, Any], word: str, access: InstallAccess
) -> None:
    publish_android(api)
    publish_ios(api)
    link_id, path = make_link(api, password=PASSWORD)
    token = csrf_of(client.get(path))
    unlock(client, path)
    url = urlsplit(manifest_url(client.get(path, headers={"User-Agent": IPHONE}).text))
    change(app, link_id, **change_to)
    set_access(app, access)
    for address in (path, f"{path}/android", f"{url.path}?{url.query}"):
        answer = client.get(address)
        assert (answer.status_code, word in answer.text) == (410, True), address
    assert client.post(path, data={"password": PASSWORD, "csrf_token": token}).status_code == 410
    assert counts(app, link_id) == (1, 0)


def test_a_link_says_that_the_page_is_off(app: Flask, client: FlaskClient, api: Api) -> None:
    link_id, path = make_link(api)
    set_access(app, InstallAccess.OFF)
    for address in (path, f"{path}/android"):
        answer = client.get(address)
        assert (answer.status_code, "switched off" in answer.text) == (404, True)
    assert counts(app, link_id) == (0, 0)


def test_a_forged_garbled_or_borrowed_link_opens_nothing(app: Flask, client: FlaskClient, api: Api) -> None:
    link_id, path = make_link(api)
    with app.app_context(), transaction() as session:
        apps.create(session, SYSTEM, slug="other", name="Other", now=utcnow())
    signed = path.rpartition("/")[2]
    foreign = [URLSafeSerializer("not our key" * 4, salt="ota-share-link").dumps(link_id)]
    foreign += [URLSafeSerializer("k" * 64, salt="session").dumps(link_id)]
    foreign += [
        URLSafeSerializer("k" * 64, salt="ota-share-link").dumps(value)
        for value in (0, -1, 2**70, "1", [1], True, None, 99)
    ]
    for text in (
        *foreign,
        signed[:-1],
        signed + "x",
        signed.upper(),
        "1",
        ".",
        "%00",
        "é",
        "x" * 3000,
        "..%2f..",
        "<script>",
    ):
        answer = client.get(f"/install/my-app/s/{text}")
        assert answer.status_code == 404, text
        assert "<script>" not in answer.text
        assert client.get(f"/install/my-app/s/{text}/android").status_code == 404
    assert client.get(f"/install/other/s/{signed}").status_code == 404
    assert client.get(f"/install/nothing/s/{signed}").status_code == 404
    assert counts(app, link_id) == (0, 0)


def test_a_password_is_asked_for_once_per_browser_and_link(app: Flask, client: FlaskClient, api: Api) -> None:
    publish_android(api, 45, "2.4.0")
    link_id, path = make_link(api, password=PASSWORD)
    _, second = make_link(api, password="another one")
    asked = client.get(path)
    assert (asked.status_code, PASSWORD_FIELD in asked.text, "2.4.0" in asked.text) == (
        200,
        True,
        False,
    )
    assert client.get(f"{path}/android").status_code == 403
    wrong = unlock(client, path, "wrong one")
    assert (wrong.status_code, "is wrong" in wrong.text, "wrong one" in wrong.text) == (
        422,
        True,
        False,
    )
    assert counts(app, link_id) == (0, 0)
    assert unlock(client, path).headers["Location"] == path
    opened = client.get(path).text
    assert ("2.4.0" in opened, PASSWORD_FIELD in opened) == (True, False)
    assert client.get(f"{path}/android").status_code == 302
    assert counts(app, link_id) == (1, 1)
    assert PASSWORD_FIELD in client.get(second).text
    assert PASSWORD_FIELD in app.test_client().get(path).text


@pytest.mark.parametrize(
    ("password", "status"),
    [
        ("", 422),
        ("\0", 422),
        ("open\0 sesame", 303),
        ("x" * 300, 422),
        ("é" * 200, 422),
        ("x" * 10_000_000, 413),
    ],
)
def test_a_strange_password_is_refused_calmly(
    client: FlaskClient, api: Api, password: str, status: int
) -> None:
    _, path = make_link(api, password=PASSWORD)
    assert unlock(client, path, password).status_code == status


def test_a_password_that_another_site_sends_is_refused(client: FlaskClient, api: Api) -> None:
    _, path = make_link(api, password=PASSWORD)
    answer = client.post(path, data={"password": PASSWORD})
    assert (answer.status_code, "out of date" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("method", "ending"), [("PUT", ""), ("DELETE", ""), ("POST", "/android"), ("GET", "/device")]
)
def test_a_wrong_method_is_refused(client: FlaskClient, api: Api, method: str, ending: str) -> None:
    _, path = make_link(api)
    assert client.open(path + ending, method=method).status_code in {400, 405}


def test_guessing_a_password_is_limited_by_link_and_by_address_and_costs_no_login(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, login_limit="3 per hour")
    app = create_app(settings)
    make_cast(app, settings)
    api = Api(app)
    (_, path), (_, other) = make_link(api, password=PASSWORD), make_link(api, password=PASSWORD)
    tries = [
        unlock(app.test_client(), path, "wrong one", f"10.0.0.{number}").status_code for number in range(4)
    ]
    assert tries == [422, 422, 422, 429]
    assert unlock(app.test_client(), path, PASSWORD, "10.0.0.9").status_code == 429
    assert unlock(app.test_client(), other, PASSWORD, "10.0.0.9").status_code == 303
    for _ in range(2):
        unlock(app.test_client(), other, "wrong one", "10.0.0.8")
    assert (
        unlock(app.test_client(), make_link(api, password=PASSWORD)[1], PASSWORD, "10.0.0.9").status_code
        == 303
    )
    browser = app.test_client()
    form = {
        "email": EMAILS[Role.ADMIN],
        "password": "correct horse battery",
        "csrf_token": csrf_of(browser.get("/login")),
    }
    assert browser.post("/login", data=form, environ_base={"REMOTE_ADDR": "10.0.0.9"}).status_code == 303


def test_a_device_is_checked_through_a_link_too(app: Flask, client: FlaskClient, api: Api) -> None:
    publish_ios(api)
    link_id, path = make_link(api)
    set_access(app, InstallAccess.LINKS)
    with app.test_client() as browser:
        token = csrf_of(browser.get(make_link(api, password=PASSWORD)[1]))
        answer = browser.post(f"{path}/device", data={"udid": "0" * 40, "csrf_token": token})
        assert answer.status_code == 200
        assert (
            browser.post("/install/my-app/device", data={"udid": "0" * 40, "csrf_token": token}).status_code
            == 403
        )
    assert counts(app, link_id) == (0, 0)
