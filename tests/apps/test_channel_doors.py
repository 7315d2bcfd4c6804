"""Channels and the kill switch, by program and in the browser."""

from __future__ import annotations

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


@pytest.fixture
def admin(app: Flask) -> Api:
    return Api(app, Role.ADMIN)


@pytest.fixture
def browser(sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    """An administrator's."""
    return sign_in(EMAILS[Role.ADMIN])


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
    assert (
        Api(admin.app, Role.VIEWER).get(where).json["message"] == "Releases above 10 % need a second person."
    )
    changed = admin.patch(where, {"approval_above": 750}).json
    assert (changed["channel"]["falls_back_to"], changed["channel"]["revision"]) == (["stable"], 2)
    assert changed["message"] == "beta is changed. Releases above 7.5 % need a second person."
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
    ("body", "code", "sentence"),
    [
        ({}, "missing_field", "name: this field is missing."),
        ({"name": "Beta"}, "bad_channel_name", "1 to 40 lower-case letters"),
        ({"name": "b" * 41}, "bad_channel_name", "1 to 40 lower-case letters"),
        ({"name": "x" * 1000}, "invalid_field", "name:"),
        ({"name": 7}, "invalid_field", "name: expected text, got whole number."),
        ({"name": HOSTILE}, "bad_channel_name", "1 to 40 lower-case letters"),
        ({"name": "stable"}, "channel_taken", "already has a channel stable"),
        ({"name": "beta", "falls_back_to": ["beta"]}, "circular_fallback", "beta -> beta"),
        ({"name": "beta", "falls_back_to": ["nightly"]}, "unknown_fallback", "no channel 'nightly'"),
        ({"name": "beta", "falls_back_to": "stable"}, "invalid_field", "falls_back_to"),
        ({"name": "beta", "falls_back_to": None}, "invalid_field", "falls_back_to"),
        ({"name": "beta", "falls_back_to": [1]}, "invalid_field", "falls_back_to"),
        ({"name": "beta", "approval_above": 0.1}, "invalid_field", "whole basis points: 10 % is 1000"),
        ({"name": "beta", "approval_above": "10"}, "invalid_field", "whole basis points: 10 % is 1000"),
        ({"name": "beta", "approval_above": True}, "invalid_field", "whole basis points: 10 % is 1000"),
        ({"name": "beta", "approval_above": -1}, "invalid_field", "whole basis points: 10 % is 1000"),
        ({"name": "beta", "approval_above": 10_000}, "invalid_field", "whole basis points: 10 % is 1000"),
        ({"name": "beta", "approval": 1000}, "unknown_field", "approval: there is no such field here."),
        ({"name": "beta", "app": "nothing"}, "unknown_app", "There is no app 'nothing'."),
    ],
)
def test_bad_input_is_refused_with_a_sentence(
    admin: Api, body: dict[str, Any], code: str, sentence: str
) -> None:
    answer = admin.post("/api/channels", body)
    assert (answer.status_code in {400, 404, 409}, answer.json["code"]) == (True, code), answer.text
    assert sentence in answer.json["message"]
    assert len(admin.get("/api/channels").json["channels"]) == 1


def test_bad_changes_are_refused_with_a_sentence(admin: Api) -> None:
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
    assert "So far every device follows stable" in page
    assert "One person is enough to publish." in page
    make(admin, falls_back_to=["stable"], approval_above=1000)
    version = api.version(code=7, version="1.7.0")
    api.post(f"/api/versions/{version['id']}/releases", {"channel": "beta", "rollout": 750})
    page = browser.get(CHANNELS).text
    assert "So far every device follows" not in page
    for text in ("Releases above 10 % need a second person.", "1.7.0", "live 7.5 %", "that channel&#39;s"):
        assert text in page, text


def test_an_administrator_makes_and_changes_a_channel_in_the_browser(browser: FlaskClient, api: Api) -> None:
    token = csrf_of(browser.get(CHANNELS))
    form = {"csrf_token": token, "name": "beta", "falls_back_to": ["stable"], "approval_above": "12.5"}
    assert browser.post(CHANNELS, data=form).status_code == 303
    assert "The channel beta is made" in browser.get(CHANNELS).text
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
    assert (stale.status_code, "What is there now" in stale.text, 'value="5"' in stale.text) == (
        409,
        True,
        True,
    )
    assert (
        browser.post(where, data={**data, "approval_above": "5", "revision": revision_of(stale)}).status_code
        == 303
    )
    deletion = f"{CHANNELS}/{made['id']}/delete"
    assert "Nothing was ever released on it" in browser.get(deletion, headers=HX).text
    assert browser.post(deletion, data={"csrf_token": token}).status_code == 303
    assert len(api.get("/api/channels").json["channels"]) == 1


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"name": "Beta Two"}, "lower-case letters"),
        ({"name": ""}, "Give the channel a name"),
        ({"name": "stable"}, "already has a channel stable"),
        ({"approval_above": "0.001"}, "At most two decimals"),
        ({"approval_above": "100"}, "Expected 0 to 99.99 percent"),
        ({"approval_above": "-1"}, "Expected 0 to 99.99 percent"),
        ({"approval_above": "nan"}, "Expected a number"),
        ({"approval_above": "1e400"}, "Expected 0 to 99.99 percent"),
        ({"approval_above": "ten"}, "Expected a number, such as 12.5"),
        ({"falls_back_to": ["beta"]}, "beta -&gt; beta"),
        ({"falls_back_to": [HOSTILE]}, "&lt;img src=x"),
    ],
)
def test_what_was_typed_wrongly_comes_back_with_a_sentence(
    browser: FlaskClient, typed: dict[str, Any], sentence: str
) -> None:
    form = {"csrf_token": csrf_of(browser.get(CHANNELS)), "name": "beta", **typed}
    answer = browser.post(CHANNELS, data=form)
    assert (answer.status_code, sentence in answer.text, HOSTILE in answer.text) == (422, True, False), (
        answer.text
    )


def test_a_circle_in_the_edit_form_is_shown_in_place(browser: FlaskClient, admin: Api) -> None:
    beta = make(admin)
    make(admin, "nightly", falls_back_to=["beta"])
    where = f"{CHANNELS}/{beta['id']}/edit"
    page = browser.get(where)
    form = {"csrf_token": csrf_of(page), "revision": revision_of(page), "falls_back_to": ["nightly"]}
    answer = browser.post(where, data=form)
    assert (answer.status_code, "beta -&gt; nightly -&gt; beta" in answer.text) == (422, True)


def test_the_kill_switch_asks_first_and_every_page_then_says_so(
    sign_in: Callable[..., FlaskClient], app: Flask, api: Api
) -> None:
    api.published()
    api.check()
    drain(app)
    browser, viewer = sign_in(), sign_in(EMAILS[Role.VIEWER])
    confirm = browser.get("/apps/my-app/shut-off")
    assert "<strong>1 device</strong>" in confirm.text
    assert "1.0.0" in confirm.text
    assert api.check()["update_available"] is True
    done = browser.post("/apps/my-app/shut-off", data={"csrf_token": csrf_of(confirm)})
    assert done.headers["Location"] == CHANNELS
    assert api.check()["reason"] == "shut_off"
    for path in (CHANNELS, "/apps/my-app/versions", "/apps/my-app/uploads", "/apps/my-app/groups", "/tokens"):
        page = browser.get(path).text
        assert "Updates of My app are shut off." in page, path
        assert 'href="/apps/my-app/turn-on"' in page, path
    seen = viewer.get("/apps/my-app/versions").text
    assert ("Updates of My app are shut off." in seen, "/turn-on" in seen) == (True, False)
    versions = browser.get("/apps/my-app/versions").text
    assert ('pill-bad">shut off' in versions, 'pill-good">live' in versions) == (True, False)
    assert "is shut off already" in browser.get("/apps/my-app/shut-off").text
    again = browser.post("/apps/my-app/shut-off", data={"csrf_token": csrf_of(confirm)})
    assert "was shut off already" in browser.get(again.headers["Location"]).text
    browser.post("/apps/my-app/turn-on", data={"csrf_token": csrf_of(browser.get("/apps/my-app/turn-on"))})
    assert "are shut off." not in browser.get("/apps/my-app/versions").text
    assert api.check()["update_available"] is True
    activity = browser.get("/apps/my-app/activity").text
    assert "shut the app off" in activity
    assert "turned the app on again" in activity


def test_the_kill_switch_of_a_channel_names_who_else_feels_it(browser: FlaskClient, admin: Api) -> None:
    make(admin, falls_back_to=["stable"])
    confirm = browser.get(f"{CHANNELS}/1/shut-off", headers=HX).text
    assert f'action="{CHANNELS}/1/shut-off"' in confirm
    assert "Devices on beta are no longer offered its releases." in confirm
    token = csrf_of(browser.get(CHANNELS))
    browser.post(f"{CHANNELS}/1/shut-off", data={"csrf_token": token})
    page = browser.get("/apps/my-app/versions").text
    assert "The channel stable of My app is shut off." in page
    assert f'href="{CHANNELS}/1/turn-on"' in page
    assert admin.check()["reason"] == "shut_off"
    browser.post("/apps/my-app/shut-off", data={"csrf_token": token})
    assert "But My app as a whole stays shut off." in browser.get(f"{CHANNELS}/1/turn-on").text
    assert "stable stays shut off." in browser.get("/apps/my-app/turn-on").text
    browser.post("/apps/my-app/turn-on", data={"csrf_token": token})
    browser.post(f"{CHANNELS}/1/turn-on", data={"csrf_token": token})
    assert "is shut off." not in browser.get("/apps/my-app/versions").text


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
