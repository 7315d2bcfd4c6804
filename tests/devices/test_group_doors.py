"""Device groups: the API and the pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import insert
from werkzeug.test import TestResponse

from ota.core.permissions import Role
from ota.db import transaction
from ota.models.releases import release_groups
from tests.conftest import EMAILS, Api, bearer, csrf_of, drain
from tests.web.test_pages import HOSTILE, HX, revision_of

pytestmark = pytest.mark.sqlite_suffices

GROUPS = "/apps/my-app/groups"


@pytest.fixture
def browser(sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    """A publisher's browser."""
    return sign_in()


def make(api: Api, name: str = "Testers") -> str:
    """Make a group. Return its path in the API."""
    answer = api.post("/api/groups", {"name": name})
    assert answer.status_code == 201, answer.text
    return f"/api/groups/{answer.json['group']['id']}"


def field_of(answer: TestResponse) -> str | None:
    """The field that a refusal names."""
    found: str | None = answer.json.get("details", {}).get("field")
    return found


def numbers(message: str) -> list[int]:
    """The numbers in a message about devices: added, in the group before, removed."""
    return [int(each) for each in re.findall(r"[0-9]+", message)]


def test_a_program_makes_fills_lists_and_deletes_a_group(api: Api) -> None:
    where = make(api)
    answer = api.post(f"{where}/devices", {"add": ["one", "two", "three"], "note": "Anna"}).json
    assert (answer["group"]["devices"], numbers(answer["message"])) == (3, [3, 0, 0])
    answer = api.post(f"{where}/devices", {"add": ["two", "four"], "remove": ["two", "one"]}).json
    assert (answer["group"]["devices"], numbers(answer["message"])) == (3, [2, 0, 2])
    viewer = Api(api.app, Role.VIEWER)
    assert [(each["name"], each["devices"]) for each in viewer.get("/api/groups").json["groups"]] == [
        ("Testers", 3)
    ]
    shown = viewer.get(where).json
    assert sorted(str(member["note"]) for member in shown["members"]) == ["Anna", "None", "None"]
    assert "four" not in str(shown)
    hashes = [member["device_hash"] for member in shown["members"]]
    assert len(viewer.get(f"{where}?limit=2&offset=2").json["members"]) == 1
    assert api.post(f"{where}/devices", {"remove": hashes}).json["group"]["devices"] == 0
    assert api.patch(where, {"name": "Friends", "revision": 1}).json["group"]["name"] == "Friends"
    assert "Friends" in api.delete(where).json["message"]
    assert viewer.get(where).json["code"] == "unknown_group"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "missing_field", "name"),
        ({"name": ""}, "bad_group_name", "name"),
        ({"name": "x" * 61}, "bad_group_name", "name"),
        ({"name": "a\nb"}, "bad_group_name", "name"),
        ({"name": None}, "invalid_field", "name"),
        ({"name": "a\0b"}, "invalid_text", None),
        ({"name": "Testers", "devices": []}, "unknown_field", "devices"),
        ({"name": "taken"}, "group_taken", "name"),
        ({"name": "x", "app": "nothing"}, "unknown_app", "app"),
    ],
)
def test_bad_groups_are_refused_and_the_field_named(
    api: Api, body: dict[str, Any], code: str, field: str | None
) -> None:
    where = make(api, "Taken")
    answer = api.post("/api/groups", body)
    assert answer.status_code in {400, 404, 409}, answer.text
    assert (answer.json["code"], field_of(answer)) == (code, field)
    if code in {"bad_group_name", "missing_field"}:
        assert api.patch(where, body).json["code"] == code
    assert len(api.get("/api/groups").json["groups"]) == 1


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "nothing_to_do", "add"),
        ({"add": []}, "nothing_to_do", "add"),
        ({"add": "one"}, "invalid_field", "add"),
        ({"add": [1]}, "invalid_field", "add[0]"),
        ({"add": ["one", ""]}, "bad_device_id", "add"),
        ({"add": ["x" * 201]}, "bad_device_id", "add"),
        ({"remove": ["x" * 201]}, "bad_device_id", "remove"),
        ({"add": ["one"], "note": "x" * 121}, "bad_note", "note"),
        ({"add": ["one"], "note": "a\nb"}, "bad_note", "note"),
        ({"add": ["a\0"]}, "invalid_text", None),
        ({"add": [f"{number}" for number in range(5_001)]}, "group_full", "add"),
        ({"add": ["x" * 100] * 5_000}, "body_too_large", None),
        ({"add": ["one"], "hashes": []}, "unknown_field", "hashes"),
    ],
)
def test_bad_devices_are_refused_and_none_is_added(
    api: Api, body: dict[str, Any], code: str, field: str | None
) -> None:
    where = make(api)
    answer = api.post(f"{where}/devices", body)
    assert answer.status_code == (413 if code == "body_too_large" else 400), answer.text
    assert (answer.json["code"], field_of(answer)) == (code, field)
    assert api.get(where).json["group"]["devices"] == 0


def test_text_that_is_no_text_is_refused(api: Api) -> None:
    where = make(api)
    raw = b'{"add": ["\\ud800"]}'
    headers = {**bearer(), "Content-Type": "application/json"}
    assert api.client.post(f"{where}/devices", data=raw, headers=headers).status_code == 400


def test_all_or_nothing(api: Api) -> None:
    where = make(api)
    api.post(f"{where}/devices", {"add": ["one"]})
    assert api.post(f"{where}/devices", {"remove": ["one"], "add": [""]}).status_code == 400
    assert api.get(where).json["group"]["devices"] == 1


def test_a_stale_name_gets_409_and_viewers_change_nothing(api: Api) -> None:
    where = make(api)
    api.patch(where, {"name": "Friends"})
    answer = api.patch(where, {"name": "Else", "revision": 1})
    assert (answer.status_code, answer.json["code"], answer.json["current"]["name"]) == (
        409,
        "stale_revision",
        "Friends",
    )
    viewer = Api(api.app, Role.VIEWER)
    for refused in (
        viewer.patch(where, {"name": "x"}),
        viewer.delete(where),
        viewer.post(f"{where}/devices", {"add": ["x"]}),
    ):
        assert refused.status_code == 403
    for path in ("/api/groups/999", f"/api/groups/{2**40}"):
        assert api.get(path).json["code"] == api.delete(path).json["code"] == "unknown_group"


def test_the_first_page_teaches_and_everything_works_without_javascript(
    app: Flask, browser: FlaskClient, api: Api
) -> None:
    page = browser.get(GROUPS)
    assert "Make the first group" in page.text
    token = csrf_of(page)
    made = browser.post(GROUPS, data={"csrf_token": token, "name": "Testers"})
    where = made.headers["Location"]
    assert made.status_code == 303
    pasted = browser.post(
        f"{where}/devices",
        data={"csrf_token": token, "add": " device-1 \r\n\r\ndevice-2\ndevice-2\n", "note": "Anna"},
    )
    assert pasted.status_code == 303
    page = browser.get(where).text
    assert "2 devices" in page
    assert page.count("never asked") == 2
    assert "device-1" not in page
    api.check()
    drain(app)
    page = browser.get(where).text
    assert page.count("never asked") == 1
    assert "0.9.0" in page
    device = page.split('name="device" value="')[1].split('"')[0]
    assert browser.post(f"{where}/remove", data={"csrf_token": token, "device": device}).status_code == 303
    assert "notice-good" in browser.get(where).text
    again = browser.post(f"{where}/devices", data={"csrf_token": token, "add": "device-1\ndevice-2"})
    page = browser.get(again.headers["Location"]).text
    assert ("1 device is added" in page, "1 was in the group" in page) == (True, True)
    listed = browser.get(GROUPS).text
    assert "no release" in listed


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        ({"add": ""}, "add"),
        ({"add": " \n \n"}, "add"),
        ({"add": "ok\n" + "x" * 201}, "add"),
        ({"add": "ok", "note": "x" * 121}, "note"),
        ({"add": "\n".join(str(number) for number in range(5_001)), "note": HOSTILE}, "add"),
    ],
)
def test_a_wrong_field_comes_back_with_its_error(
    browser: FlaskClient, api: Api, form: dict[str, str], wrong: str
) -> None:
    where = make(api).replace("/api/", "/apps/my-app/")
    answer = browser.post(f"{where}/devices", data={"csrf_token": csrf_of(browser.get(where)), **form})
    assert (answer.status_code, answer.text.count('class="wrong"')) == (422, 1), answer.text[:3000]
    assert (f'id="{wrong}-wrong"' in answer.text, HOSTILE in answer.text) == (True, False)
    if form["add"].startswith("ok"):
        assert "ok" in answer.text


def test_renaming_and_deleting_in_the_browser(browser: FlaskClient, api: Api) -> None:
    where = make(api, HOSTILE).replace("/api/", "/apps/my-app/")
    page = browser.get(where)
    assert HOSTILE not in page.text
    token = csrf_of(page)
    form = {"csrf_token": token, "name": "Friends", "revision": revision_of(page)}
    assert browser.post(f"{where}/rename", data=form).status_code == 303
    stale = browser.post(f"{where}/rename", data={**form, "name": "Else"})
    assert (stale.status_code, "Friends" in stale.text, 'value="Else"' in stale.text) == (
        409,
        True,
        True,
    )
    assert browser.post(f"{where}/rename", data={**form, "name": ""}).status_code == 422
    release_id = api.published()["release"]["id"]
    with api.app.app_context(), transaction() as session:
        session.execute(insert(release_groups).values(release_id=release_id, group_id=1))
    assert "1.0.0 on stable" in browser.get(GROUPS).text
    assert f'action="{where}/delete"' in browser.get(f"{where}/delete").text
    assert "1.0.0 on stable" in browser.get(f"{where}/delete").text
    refused = browser.post(f"{where}/delete", data={"csrf_token": token})
    assert (refused.status_code, "1.0.0 on stable" in refused.text) == (409, True)
    api.post(f"/api/releases/{release_id}/rollback")
    assert "empty" in browser.get(f"{where}/delete", headers=HX).text
    assert browser.post(f"{where}/delete", data={"csrf_token": token}).headers["Location"] == GROUPS
    assert browser.get(where).status_code == 404
    assert "deleted the device group" in browser.get("/apps/my-app/activity").text


def test_a_viewer_reads_and_a_foreign_group_is_not_found(
    sign_in: Callable[..., FlaskClient], api: Api
) -> None:
    where = make(api).replace("/api/", "/apps/my-app/")
    viewer = sign_in(EMAILS[Role.VIEWER])
    page = viewer.get(where).text
    assert ("card empty" in page, "Add devices" in page) == (True, False)
    assert "New group" not in viewer.get(GROUPS).text
    admin = sign_in(EMAILS[Role.ADMIN])
    token = csrf_of(admin.get("/apps"))
    admin.post("/apps", data={"csrf_token": token, "name": "Other", "slug": "other"})
    assert admin.get("/apps/other/groups/1").status_code == 404
    for verb, more in (
        ("devices", {"add": "x"}),
        ("remove", {"device": "x"}),
        ("rename", {"name": "x", "revision": "1"}),
        ("delete", {}),
    ):
        assert (
            admin.post(f"/apps/other/groups/1/{verb}", data={"csrf_token": token, **more}).status_code == 404
        ), verb
    assert api.get("/api/groups/1").json["group"]["name"] == "Testers"
