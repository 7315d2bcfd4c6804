"""Share links as publishers and programs create, list and revoke them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Role
from ota.db import transaction
from ota.history.audit import SYSTEM
from tests.conftest import EMAILS, Api, csrf_of
from tests.installing.given import (
    HOSTILE,
    PASSWORD,
    make_link,
    publish_android,
    unlock,
)

pytestmark = pytest.mark.sqlite_suffices


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
    assert "1 view and 0 downloads" in " ".join(browser.get(revoke).text.split())
    assert browser.post(revoke, data={"csrf_token": form["csrf_token"]}).status_code == 303
    assert client.get(found[2]).status_code == 410
    after = browser.get("/apps/my-app/share").text
    assert ('pill-quiet">revoked' in after, found[1] in after) == (True, False)
    history = browser.get("/apps/my-app/activity").text
    assert "made the share link" in history
    assert "revoked the share link" in history


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"name": ""}, "whom"),
        ({"name": "x" * 81}, "longer than 80"),
        ({"days": "0"}, "1 to 365"),
        ({"days": "ten"}, "valid integer"),
        ({"days": "9" * 400}, "1 to 365"),
        ({"password": "short"}, "6 to 256"),
    ],
)
def test_a_wrong_form_comes_back_with_what_was_typed(
    sign_in: Callable[..., FlaskClient], wrong: dict[str, str], word: str
) -> None:
    browser = sign_in()
    form = {
        "name": "Testers",
        "days": "30",
        "csrf_token": csrf_of(browser.get("/apps/my-app/share")),
        **wrong,
    }
    answer = browser.post("/apps/my-app/share", data=form)
    assert (answer.status_code, word in answer.text) == (422, True)


def test_links_are_for_publishers_and_for_their_own_app(
    app: Flask, api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    link_id, _ = make_link(api)
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
    link_id, path = make_link(api, days=7, password=PASSWORD)
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
def test_a_malformed_request_is_refused_with_a_code(
    api: Api, body: dict[str, Any], status: int, code: str
) -> None:
    answer = api.post("/api/share-links", body)
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert api.post("/api/share-links/99999999999999999999/revoke").status_code == 404
