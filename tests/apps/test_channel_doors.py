"""Channels and the kill switch: the API and the pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ota.core.permissions import Role
from tests.conftest import EMAILS, Api, csrf_of, drain
from tests.web.test_pages import HOSTILE, HX, revision_of

pytestmark = pytest.mark.sqlite_suffices

CHANNELS = "/apps/my-app/channels"
NOTICE = "notice-act"
"""Class of the notice on every page that an app or a channel is shut off."""


def make(admin: Api, name: str = "beta", **fields: Any) -> dict[str, Any]:
    answer = admin.post("/api/channels", {"name": name, **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json["channel"]
    return found


def test_a_program_makes_lists_changes_and_deletes_a_channel(admin: Api) -> None:
    made = make(admin, falls_back_to=["stable"], approval_above=1000)
    assert {
        name: made[name]
        for name in (
            "name",
            "app",
            "falls_back_to",
            "approval_above",
            "is_default",
            "is_shut_off",
            "revision",
        )
    } == {
        "name": "beta",
        "app": "my-app",
        "falls_back_to": ["stable"],
        "approval_above": 1000,
        "is_default": False,
        "is_shut_off": False,
        "revision": 1,
    }
    where = f"/api/channels/{made['id']}"
    listed = Api(admin.app, Role.VIEWER).get("/api/channels?app=my-app").json["channels"]
    assert [each["name"] for each in listed] == ["stable", "beta"]
    assert "10 %" in Api(admin.app, Role.VIEWER).get(where).json["message"]
    changed = admin.patch(where, {"approval_above": 750}).json
    assert (changed["channel"]["falls_back_to"], changed["channel"]["revision"]) == (["stable"], 2)
    assert "7.5 %" in changed["message"]
    changed = admin.patch(where, {"falls_back_to": [], "revision": 2}).json["channel"]
    assert (changed["falls_back_to"], changed["approval_above"]) == ([], 750)
    asked = admin.patch(where, {"approval_above": None})
    assert (asked.status_code, asked.json["proposal"]["channel"]) == (202, "beta")
    assert admin.get(where).json["channel"]["approval_above"] == 750
    assert admin.delete(where).json["code"] == "channel_has_history"
    nightly = f"/api/channels/{make(admin, 'nightly')['id']}"
    assert admin.delete(nightly).status_code == 200
    assert admin.get(nightly).json["code"] == "unknown_channel"


def test_a_device_on_a_channel_gets_what_it_falls_back_to(admin: Api, api: Api) -> None:
    api.published()
    beta = make(admin)
    assert api.check(channel="beta")["reason"] == "no_release"
    admin.patch(f"/api/channels/{beta['id']}", {"falls_back_to": ["stable"]})
    assert api.check(channel="beta")["latest_version"] == "1.0.0"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "missing_field", "name"),
        ({"name": "Beta"}, "bad_channel_name", "name"),
        ({"name": "b" * 41}, "bad_channel_name", "name"),
        ({"name": "x" * 1000}, "invalid_field", "name"),
        ({"name": 7}, "invalid_field", "name"),
        ({"name": HOSTILE}, "bad_channel_name", "name"),
        ({"name": "stable"}, "channel_taken", "name"),
        ({"name": "beta", "falls_back_to": ["beta"]}, "circular_fallback", "falls_back_to"),
        ({"name": "beta", "falls_back_to": ["nightly"]}, "unknown_fallback", "falls_back_to"),
        ({"name": "beta", "falls_back_to": "stable"}, "invalid_field", "falls_back_to"),
        ({"name": "beta", "falls_back_to": None}, "invalid_field", "falls_back_to"),
        ({"name": "beta", "falls_back_to": [1]}, "invalid_field", "falls_back_to[0]"),
        ({"name": "beta", "approval_above": 0.1}, "invalid_field", "approval_above"),
        ({"name": "beta", "approval_above": "10"}, "invalid_field", "approval_above"),
        ({"name": "beta", "approval_above": True}, "invalid_field", "approval_above"),
        ({"name": "beta", "approval_above": -1}, "invalid_field", "approval_above"),
        ({"name": "beta", "approval_above": 10_000}, "invalid_field", "approval_above"),
        ({"name": "beta", "approval": 1000}, "unknown_field", "approval"),
        ({"name": "beta", "app": "nothing"}, "unknown_app", "app"),
    ],
)
def test_bad_input_is_refused_and_its_field_named(
    admin: Api, body: dict[str, Any], code: str, field: str
) -> None:
    answer = admin.post("/api/channels", body)
    assert answer.status_code in {400, 404, 409}, answer.text
    assert (answer.json["code"], answer.json["details"]["field"]) == (code, field)
    if field == "approval_above":
        assert "basis points" in answer.json["message"]
    assert len(admin.get("/api/channels").json["channels"]) == 1


def test_bad_changes_are_refused(admin: Api) -> None:
    beta = make(admin)
    nightly = make(admin, "nightly", falls_back_to=["beta"])
    where = f"/api/channels/{beta['id']}"
    for body, status, code in [
        ({"falls_back_to": ["nightly"]}, 400, "circular_fallback"),
        ({"falls_back_to": ["gone"]}, 400, "unknown_fallback"),
        ({"approval_above": 12.5}, 400, "invalid_field"),
        ({"revision": 0}, 400, "invalid_field"),
        ({"name": "gamma"}, 400, "unknown_field"),
        ({"approval_above": 100, "revision": 7}, 409, "stale_revision"),
    ]:
        answer = admin.patch(where, body)
        assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    assert answer.json["current"]["revision"] == 1
    assert admin.delete(where).json["code"] == "channel_in_use"
    assert admin.delete("/api/channels/1").json["code"] == "default_channel"
    assert admin.delete(f"/api/channels/{nightly['id']}").status_code == 200
    for path in ("/api/channels/999", f"/api/channels/{2**40}"):
        assert (
            admin.get(path).json["code"]
            == admin.patch(path, {}).json["code"]
            == admin.delete(path).json["code"]
            == "unknown_channel"
        )


def test_publishers_use_the_kill_switch_and_nothing_else_of_a_channel(api: Api, admin: Api) -> None:
    beta = make(admin)
    for answer in (
        api.post("/api/channels", {"name": "x"}),
        api.patch(f"/api/channels/{beta['id']}", {}),
        api.delete("/api/channels/1"),
    ):
        assert (answer.status_code, answer.json["code"]) == (403, "not_allowed")
    assert Api(api.app, Role.VIEWER).post("/api/apps/my-app/shut-off").status_code == 403
    assert api.post(f"/api/channels/{beta['id']}/shut-off").status_code == 200


def test_a_program_shuts_off_and_turns_on_as_often_as_it_likes(api: Api, admin: Api) -> None:
    api.published()
    beta = make(admin, falls_back_to=["stable"])
    for path, channel in (("/api/apps/my-app", None), (f"/api/channels/{beta['id']}", "beta")):
        for is_changed in (True, False):
            answer = api.post(f"{path}/shut-off").json
            assert (answer["app"], answer["channel"], answer["is_shut_off"], answer["changed"]) == (
                "my-app",
                channel,
                True,
                is_changed,
            )
        assert api.check(channel=channel)["reason"] == "shut_off"
        for is_changed in (True, False):
            answer = api.post(f"{path}/turn-on").json
            assert (answer["is_shut_off"], answer["changed"]) == (False, is_changed)
        assert api.check(channel=channel)["update_available"] is True
    assert api.post("/api/apps/nothing/shut-off").json["code"] == "unknown_app"
    assert api.post("/api/channels/99/turn-on").json["code"] == "unknown_channel"


def test_the_page_shows_each_channel_and_teaches_the_first_one(
    browser: FlaskClient, admin: Api, api: Api
) -> None:
    page = browser.get(CHANNELS).text
    assert ("So far" in page, "One person is enough" in page) == (True, True)
    make(admin, falls_back_to=["stable"], approval_above=1000)
    version = api.version(code=7, version="1.7.0")
    api.post(f"/api/versions/{version['id']}/releases", {"channel": "beta", "rollout": 750})
    page = browser.get(CHANNELS).text
    assert "So far" not in page
    for text in ("above 10 %", "1.7.0", "live 7.5 %", "that channel&#39;s"):
        assert text in page, text


def test_an_administrator_makes_and_changes_a_channel_in_the_browser(browser: FlaskClient, api: Api) -> None:
    token = csrf_of(browser.get(CHANNELS))
    form = {"csrf_token": token, "name": "beta", "falls_back_to": ["stable"], "approval_above": "12.5"}
    assert browser.post(CHANNELS, data=form).status_code == 303
    assert "notice-good" in browser.get(CHANNELS).text
    made = api.get("/api/channels").json["channels"][1]
    assert (made["falls_back_to"], made["approval_above"]) == (["stable"], 1250)
    where = f"{CHANNELS}/{made['id']}/edit"
    page = browser.get(where)
    assert 'value="12.5"' in page.text
    assert "checked" in page.text
    Api(api.app, Role.ADMIN).patch(f"/api/channels/{made['id']}", {"approval_above": 1000})
    page = browser.get(where)
    assert 'value="10"' in page.text
    data = {"csrf_token": token, "revision": revision_of(page), "approval_above": "9"}
    assert browser.post(where, data=data).status_code == 303
    made = api.get("/api/channels").json["channels"][1]
    assert (made["falls_back_to"], made["approval_above"]) == ([], 900)
    stale = browser.post(where, data={**data, "approval_above": "5"})
    assert (stale.status_code, "is there now" in stale.text, 'value="5"' in stale.text) == (
        409,
        True,
        True,
    )
    assert (
        browser.post(where, data={**data, "approval_above": "5", "revision": revision_of(stale)}).status_code
        == 303
    )
    deletion = f"{CHANNELS}/{made['id']}/delete"
    assert f'action="{deletion}"' in browser.get(deletion, headers=HX).text
    assert browser.post(deletion, data={"csrf_token": token}).status_code == 303
    assert len(api.get("/api/channels").json["channels"]) == 1


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({"name": "Beta Two"}, 'id="name-wrong"'),
        ({"name": ""}, 'id="name-wrong"'),
        ({"name": "stable"}, 'id="name-wrong"'),
        ({"approval_above": "0.001"}, 'id="approval_above-wrong"'),
        ({"approval_above": "100"}, 'id="approval_above-wrong"'),
        ({"approval_above": "-1"}, 'id="approval_above-wrong"'),
        ({"approval_above": "nan"}, 'id="approval_above-wrong"'),
        ({"approval_above": "1e400"}, 'id="approval_above-wrong"'),
        ({"approval_above": "ten"}, 'id="approval_above-wrong"'),
        ({"falls_back_to": ["beta"]}, "beta -&gt; beta"),
        ({"falls_back_to": [HOSTILE]}, "&lt;img src=x"),
    ],
)
def test_a_wrong_field_comes_back_with_its_error(
    browser: FlaskClient, typed: dict[str, Any], wrong: str
) -> None:
    form = {"csrf_token": csrf_of(browser.get(CHANNELS)), "name": "beta", **typed}
    answer = browser.post(CHANNELS, data=form)
    assert (answer.status_code, answer.text.count('class="wrong"')) == (422, 1), answer.text
    assert (wrong in answer.text, HOSTILE in answer.text) == (True, False), answer.text


def test_a_circle_in_the_edit_form_is_shown_in_place(browser: FlaskClient, admin: Api) -> None:
    beta = make(admin)
    make(admin, "nightly", falls_back_to=["beta"])
    where = f"{CHANNELS}/{beta['id']}/edit"
    page = browser.get(where)
    form = {"csrf_token": csrf_of(page), "revision": revision_of(page), "falls_back_to": ["nightly"]}
    answer = browser.post(where, data=form)
    assert (answer.status_code, "beta -&gt; nightly -&gt; beta" in answer.text) == (422, True)


def test_the_kill_switch_asks_first_and_every_page_then_shows_it(
    sign_in: Callable[..., FlaskClient], app: Flask, api: Api
) -> None:
    api.published()
    api.check()
    drain(app)
    browser, viewer = sign_in(), sign_in(EMAILS[Role.VIEWER])
    confirm = browser.get("/apps/my-app/shut-off")
    assert ("<strong>1 device</strong>" in confirm.text, "1.0.0" in confirm.text) == (True, True)
    assert api.check()["update_available"] is True
    done = browser.post("/apps/my-app/shut-off", data={"csrf_token": csrf_of(confirm)})
    assert done.headers["Location"] == CHANNELS
    assert api.check()["reason"] == "shut_off"
    for path in (CHANNELS, "/apps/my-app/versions", "/apps/my-app/uploads", "/apps/my-app/groups", "/tokens"):
        page = browser.get(path).text
        assert (page.count(NOTICE), page.count('href="/apps/my-app/turn-on"') > 0) == (1, True), path
    page = viewer.get("/apps/my-app/versions").text
    assert (page.count(NOTICE), "/turn-on" in page) == (1, False)
    versions = browser.get("/apps/my-app/versions").text
    assert ('pill-bad">shut off' in versions, 'pill-good">live' in versions) == (True, False)
    assert "already" in browser.get("/apps/my-app/shut-off").text
    again = browser.post("/apps/my-app/shut-off", data={"csrf_token": csrf_of(confirm)})
    assert "already" in browser.get(again.headers["Location"]).text
    browser.post("/apps/my-app/turn-on", data={"csrf_token": csrf_of(browser.get("/apps/my-app/turn-on"))})
    assert NOTICE not in browser.get("/apps/my-app/versions").text
    assert api.check()["update_available"] is True
    activity = browser.get("/apps/my-app/activity").text
    assert ("shut the app off" in activity, "turned the app on" in activity) == (True, True)


def test_the_kill_switch_of_a_channel_names_the_other_channels_that_it_affects(
    browser: FlaskClient, admin: Api
) -> None:
    make(admin, falls_back_to=["stable"])
    confirm = browser.get(f"{CHANNELS}/1/shut-off", headers=HX).text
    assert (f'action="{CHANNELS}/1/shut-off"' in confirm, "Devices on beta" in confirm) == (True, True)
    token = csrf_of(browser.get(CHANNELS))
    browser.post(f"{CHANNELS}/1/shut-off", data={"csrf_token": token})
    page = browser.get("/apps/my-app/versions").text
    assert (page.count(NOTICE), f'href="{CHANNELS}/1/turn-on"' in page) == (1, True)
    assert admin.check()["reason"] == "shut_off"
    browser.post("/apps/my-app/shut-off", data={"csrf_token": token})
    assert browser.get("/apps/my-app/versions").text.count(NOTICE) == 2
    assert "<strong>But My app" in browser.get(f"{CHANNELS}/1/turn-on").text
    assert re.search(r"<strong>stable\s+stays", browser.get("/apps/my-app/turn-on").text)
    browser.post("/apps/my-app/turn-on", data={"csrf_token": token})
    browser.post(f"{CHANNELS}/1/turn-on", data={"csrf_token": token})
    assert NOTICE not in browser.get("/apps/my-app/versions").text


def test_a_channel_is_found_only_under_its_own_app(browser: FlaskClient, admin: Api) -> None:
    token = csrf_of(browser.get("/apps"))
    browser.post("/apps", data={"csrf_token": token, "name": "Other", "slug": "other"})
    for verb in ("edit", "delete", "shut-off", "turn-on"):
        assert browser.get(f"/apps/other/channels/1/{verb}").status_code == 404
        assert browser.post(f"/apps/other/channels/1/{verb}", data={"csrf_token": token}).status_code == 404
    assert admin.get("/api/channels/1").json["channel"]["is_shut_off"] is False


def test_a_publisher_sees_no_buttons_that_are_not_for_them(sign_in: Callable[..., FlaskClient]) -> None:
    page = sign_in().get(CHANNELS).text
    assert (f"{CHANNELS}/1/shut-off" in page, f"{CHANNELS}/1/edit" in page, "New channel" in page) == (
        True,
        False,
        False,
    )
    page = sign_in(EMAILS[Role.VIEWER]).get(CHANNELS).text
    assert ("shut-off" in page, "Kill switch" in page) == (False, False)
