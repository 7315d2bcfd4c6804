"""Share links as visitors, publishers and programs use them."""

from __future__ import annotations

import re
from collections.abc import Callable
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
from tests.installing.given import IPHONE, publish_android, publish_ios
from tests.installing.test_pages import HOSTILE, manifest_url, set_access

pytestmark = pytest.mark.sqlite_suffices

PASSWORD = "open sesame"


def make(api: Api, **body: Any) -> tuple[int, str]:
    """A new link: its id and the path of its address."""
    answer = api.post("/api/share-links", {"name": "Testers", **body})
    assert answer.status_code == 201, answer.text
    assert answer.json["url"].startswith("https://updates.example.com/install/my-app/s/")
    return answer.json["share_link"]["id"], urlsplit(answer.json["url"]).path


def counts(app: Flask, link_id: int) -> tuple[int, int]:
    with app.app_context():
        link = share_links.get(reader(), link_id)
        return link.views, link.downloads


def change(app: Flask, link_id: int, **values: Any) -> None:
    with app.app_context(), transaction() as session:
        for name, value in values.items():
            setattr(session.get_one(ShareLink, link_id), name, value)


def unlock(browser: FlaskClient, path: str, password: str = PASSWORD, address: str = "10.0.0.1") -> Any:
    form = {"password": password, "csrf_token": csrf_of(browser.get(path))}
    return browser.post(path, data=form, environ_base={"REMOTE_ADDR": address})


@pytest.mark.parametrize("access", [InstallAccess.OPEN, InstallAccess.LINKS])
def test_a_link_opens_the_page_and_counts(
    app: Flask, client: FlaskClient, api: Api, access: InstallAccess
) -> None:
    publish_android(api, 45, "2.4.0")
    link_id, path = make(api)
    set_access(app, access)
    page = client.get(path)
    assert (page.status_code, "2.4.0" in page.text, "link that is good until" in page.text) == (
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
    link_id, _ = make(api)
    client.get("/install/my-app")
    client.get("/install/my-app/android")
    assert counts(app, link_id) == (0, 0)


def test_an_iphone_gets_a_manifest_without_cookies_for_an_hour(
    app: Flask, client: FlaskClient, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_ios(api)
    link_id, path = make(api, password=PASSWORD)
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
    ("change_to", "sentence"),
    [
        ({"revoked_at": utcnow()}, "This link was taken back"),
        ({"expires_at": utcnow() - timedelta(seconds=1)}, "This link has expired"),
    ],
)
@pytest.mark.parametrize("access", list(InstallAccess))
def test_a_link_that_ended_in_between_says_so_everywhere(
    app: Flask, client: FlaskClient, api: Api, change_to: dict[str, Any], sentence: str, access: InstallAccess
) -> None:
    publish_android(api)
    publish_ios(api)
    link_id, path = make(api, password=PASSWORD)
    token = csrf_of(client.get(path))
    unlock(client, path)
    url = urlsplit(manifest_url(client.get(path, headers={"User-Agent": IPHONE}).text))
    change(app, link_id, **change_to)
    set_access(app, access)
    for address in (path, f"{path}/android", f"{url.path}?{url.query}"):
        answer = client.get(address)
        assert (answer.status_code, sentence in answer.text) == (410, True), address
    assert client.post(path, data={"password": PASSWORD, "csrf_token": token}).status_code == 410
    assert counts(app, link_id) == (1, 0)


def test_a_link_says_that_the_page_is_off(app: Flask, client: FlaskClient, api: Api) -> None:
    link_id, path = make(api)
    set_access(app, InstallAccess.OFF)
    for address in (path, f"{path}/android"):
        answer = client.get(address)
        assert (answer.status_code, "switched off at the moment" in answer.text) == (404, True)
    assert counts(app, link_id) == (0, 0)


def test_a_forged_garbled_or_borrowed_link_opens_nothing(app: Flask, client: FlaskClient, api: Api) -> None:
    link_id, path = make(api)
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
    link_id, path = make(api, password=PASSWORD)
    _, second = make(api, password="another one")
    asked = client.get(path)
    assert (asked.status_code, "This link has a password" in asked.text, "2.4.0" in asked.text) == (
        200,
        True,
        False,
    )
    assert client.get(f"{path}/android").status_code == 403
    wrong = unlock(client, path, "wrong one")
    assert (wrong.status_code, "The password is wrong." in wrong.text, "wrong one" in wrong.text) == (
        422,
        True,
        False,
    )
    assert counts(app, link_id) == (0, 0)
    assert unlock(client, path).headers["Location"] == path
    assert "2.4.0" in client.get(path).text
    assert client.get(f"{path}/android").status_code == 302
    assert counts(app, link_id) == (1, 1)
    assert "This link has a password" in client.get(second).text
    assert "This link has a password" in app.test_client().get(path).text


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
    _, path = make(api, password=PASSWORD)
    assert unlock(client, path, password).status_code == status


def test_a_password_that_another_site_sends_is_refused(client: FlaskClient, api: Api) -> None:
    _, path = make(api, password=PASSWORD)
    answer = client.post(path, data={"password": PASSWORD})
    assert (answer.status_code, "out of date" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("method", "ending"), [("PUT", ""), ("DELETE", ""), ("POST", "/android"), ("GET", "/device")]
)
def test_a_wrong_method_is_refused(client: FlaskClient, api: Api, method: str, ending: str) -> None:
    _, path = make(api)
    assert client.open(path + ending, method=method).status_code in {400, 405}


def test_guessing_a_password_is_limited_by_link_and_by_address_and_costs_no_login(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, login_limit="3 per hour")
    app = create_app(settings)
    make_cast(app, settings)
    api = Api(app)
    (_, path), (_, other) = make(api, password=PASSWORD), make(api, password=PASSWORD)
    tries = [
        unlock(app.test_client(), path, "wrong one", f"10.0.0.{number}").status_code for number in range(4)
    ]
    assert tries == [422, 422, 422, 429]
    assert unlock(app.test_client(), path, PASSWORD, "10.0.0.9").status_code == 429
    assert unlock(app.test_client(), other, PASSWORD, "10.0.0.9").status_code == 303
    for _ in range(2):
        unlock(app.test_client(), other, "wrong one", "10.0.0.8")
    assert unlock(app.test_client(), make(api, password=PASSWORD)[1], PASSWORD, "10.0.0.9").status_code == 303
    browser = app.test_client()
    form = {
        "email": EMAILS[Role.ADMIN],
        "password": "correct horse battery",
        "csrf_token": csrf_of(browser.get("/login")),
    }
    assert browser.post("/login", data=form, environ_base={"REMOTE_ADDR": "10.0.0.9"}).status_code == 303


def test_a_device_is_checked_through_a_link_too(app: Flask, client: FlaskClient, api: Api) -> None:
    publish_ios(api)
    link_id, path = make(api)
    set_access(app, InstallAccess.LINKS)
    with app.test_client() as browser:
        token = csrf_of(browser.get(make(api, password=PASSWORD)[1]))
        answer = browser.post(f"{path}/device", data={"udid": "0" * 40, "csrf_token": token})
        assert answer.status_code == 200
        assert (
            browser.post("/install/my-app/device", data={"udid": "0" * 40, "csrf_token": token}).status_code
            == 403
        )
    assert counts(app, link_id) == (0, 0)


def test_a_publisher_makes_shows_and_revokes_a_link(
    api: Api, sign_in: Callable[..., FlaskClient], client: FlaskClient
) -> None:
    publish_android(api, 45, "2.4.0")
    browser = sign_in()
    page = browser.get("/apps/my-app/share")
    assert 'aria-label="QR code of https://updates.example.com/install/my-app"' in page.text
    form = {"name": HOSTILE, "days": "7", "password": PASSWORD, "csrf_token": csrf_of(page)}
    made = browser.post("/apps/my-app/share", data=form)
    assert made.status_code == 303
    shown = browser.get(made.headers["Location"]).text
    assert HOSTILE not in shown
    assert PASSWORD not in shown
    found = re.search(r"<code>(https://updates\.example\.com(/install/my-app/s/[^<]+))</code>", shown)
    assert found
    assert f'aria-label="QR code of {found[1]}"' in shown
    assert found[1] in browser.get("/apps/my-app/share").text
    unlock(client, found[2])
    assert "2.4.0" in client.get(found[2]).text
    revoke = f"{made.headers['Location']}/revoke"
    assert "counted 1 view and 0 downloads" in browser.get(revoke).text
    assert browser.post(revoke, data={"csrf_token": form["csrf_token"]}).status_code == 303
    assert client.get(found[2]).status_code == 410
    after = browser.get("/apps/my-app/share").text
    assert ('pill-quiet">revoked' in after, found[1] in after) == (True, False)
    history = browser.get("/apps/my-app/activity").text
    assert "made the share link" in history
    assert "revoked the share link" in history


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": ""}, "Say whom the link is for."),
        ({"name": "x" * 81}, "longer than 80"),
        ({"days": "0"}, "Expected 1 to 365 days."),
        ({"days": "ten"}, "Not a valid integer"),
        ({"days": "9" * 400}, "Expected 1 to 365 days."),
        ({"password": "short"}, "6 to 256"),
    ],
)
def test_a_wrong_form_comes_back_with_what_was_typed(
    sign_in: Callable[..., FlaskClient], wrong: dict[str, str], sentence: str
) -> None:
    browser = sign_in()
    form = {
        "name": "Testers",
        "days": "30",
        "csrf_token": csrf_of(browser.get("/apps/my-app/share")),
        **wrong,
    }
    answer = browser.post("/apps/my-app/share", data=form)
    assert (answer.status_code, sentence in answer.text) == (422, True)


def test_links_are_for_publishers_and_for_their_own_app(
    app: Flask, api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    link_id, _ = make(api)
    with app.app_context(), transaction() as session:
        apps.create(session, SYSTEM, slug="other", name="Other", now=utcnow())
    browser, viewer = sign_in(), sign_in(EMAILS[Role.VIEWER])
    for path in (
        f"/apps/other/share/{link_id}",
        f"/apps/other/share/{link_id}/revoke",
        "/apps/my-app/share/99999999999999999999",
    ):
        assert browser.get(path).status_code == 404
    for path in (
        "/apps/my-app/share",
        f"/apps/my-app/share/{link_id}",
        f"/apps/my-app/share/{link_id}/revoke",
    ):
        assert viewer.get(path).status_code == 403
    assert "/apps/my-app/share" not in viewer.get("/apps/my-app/versions").text
    assert Api(app, Role.VIEWER).get("/api/share-links").status_code == 403


def test_a_program_lists_makes_and_revokes_links(app: Flask, api: Api, client: FlaskClient) -> None:
    link_id, path = make(api, days=7, password=PASSWORD)
    listed = api.get("/api/share-links?app=my-app").json["share_links"]
    assert [(link["id"], link["state"], link["has_password"], link["views"]) for link in listed] == [
        (link_id, "active", True, 0)
    ]
    assert urlsplit(listed[0]["url"]).path == path
    assert "password_hash" not in listed[0]
    revoked = api.post(f"/api/share-links/{link_id}/revoke")
    assert (revoked.status_code, revoked.json["share_link"]["state"]) == (200, "revoked")
    assert (
        api.post(f"/api/share-links/{link_id}/revoke").json["share_link"]["revoked_at"]
        == revoked.json["share_link"]["revoked_at"]
    )
    assert client.get(path).status_code == 410


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "missing_field"),
        ({"name": ""}, 400, "invalid_field"),
        ({"name": "  "}, 400, "bad_name"),
        ({"name": "x", "days": 366}, 400, "invalid_field"),
        ({"name": "x", "days": True}, 400, "invalid_field"),
        ({"name": "x", "password": "short"}, 400, "invalid_field"),
        ({"name": "x\0"}, 400, "invalid_text"),
        ({"name": "x", "pasword": "misspelt"}, 400, "unknown_field"),
        ({"name": "x", "app": "nothing"}, 404, "unknown_app"),
    ],
)
def test_a_program_is_told_what_is_wrong(api: Api, body: dict[str, Any], status: int, code: str) -> None:
    answer = api.post("/api/share-links", body)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert api.post("/api/share-links/99999999999999999999/revoke").status_code == 404
