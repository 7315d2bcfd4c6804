"""The pages, as a browser without JavaScript uses them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ota.apps import apps
from ota.builds.worker import process
from ota.clock import utcnow
from ota.config import Settings
from ota.core.permissions import Role
from ota.db import transaction
from ota.models import Channel
from ota.parts import part
from tests.builders.packages import apk
from tests.conftest import EMAILS, SECOND_PUBLISHER, Api, csrf_of

pytestmark = pytest.mark.sqlite_suffices

HX = {"HX-Request": "true"}
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def browser(sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    return sign_in()


def send(browser: FlaskClient, content: bytes, name: str = "app.apk", **fields: str) -> TestResponse:
    token = csrf_of(browser.get("/apps/my-app/uploads/new"))
    data = {"file": (io.BytesIO(content), name), "csrf_token": token, **fields}
    return browser.post("/apps/my-app/uploads", data=data)


def revision_of(page: TestResponse) -> str:
    found: str = page.text.split('name="revision"')[1].split('value="')[1].split('"')[0]
    return found


def test_the_first_page_says_what_to_do_first(browser: FlaskClient) -> None:
    assert browser.get("/").headers["Location"] == "/apps/my-app/versions"
    page = browser.get("/apps/my-app/versions").text
    assert "first build" in page
    assert "https://updates.example.com/api/uploads" in page


def test_from_upload_to_update_without_javascript(app: Flask, browser: FlaskClient, api: Api) -> None:
    sent = send(browser, apk(version="1.1.0", code=2), release_notes="Fixed login")
    assert sent.status_code == 303
    status = browser.get(sent.headers["Location"])
    assert 'http-equiv="refresh"' in status.text
    with app.app_context():
        process(app, sent.headers["Location"].rpartition("/")[2])
    ready = browser.get(sent.headers["Location"]).text
    assert "com.example.app" in ready
    assert 'http-equiv="refresh"' not in ready

    confirm = browser.get("/apps/my-app/versions/1/publish")
    assert "nothing" in confirm.text
    form = {
        "csrf_token": csrf_of(confirm),
        "revision": revision_of(confirm),
        "channel": "stable",
        "rollout": "100",
    }
    published = browser.post("/apps/my-app/versions/1/publish", data=form)
    assert published.headers["Location"] == "/apps/my-app/versions"
    page = browser.get("/apps/my-app/versions").text
    assert "everybody on stable" in page
    for head in ("Version", "Platform", "Published", "Mandatory", "Active", "Actions"):
        assert f">{head}</th>" in page
    assert api.check("1.0.0+1")["version_code"] == 2


def test_a_fragment_polls_until_the_end_is_reached_and_then_stops(app: Flask, browser: FlaskClient) -> None:
    where = send(browser, apk()).headers["Location"]
    waiting = browser.get(where, headers=HX).text
    assert waiting.lstrip().startswith("<section")
    assert 'hx-trigger="every 1s"' in waiting
    with app.app_context():
        process(app, where.rpartition("/")[2])
    assert "hx-trigger" not in browser.get(where, headers=HX).text


def test_a_rejected_upload_shows_its_reason(app: Flask, browser: FlaskClient) -> None:
    where = send(browser, b"no package").headers["Location"]
    with app.app_context():
        process(app, where.rpartition("/")[2])
    page = browser.get(where).text
    assert "ZIP" in page
    assert "rejected" in browser.get("/apps/my-app/uploads").text


def test_a_form_without_a_file_comes_back_with_what_was_typed(browser: FlaskClient) -> None:
    token = csrf_of(browser.get("/apps/my-app/uploads/new"))
    for headers in ({}, HX):
        data = {"csrf_token": token, "release_notes": "typed with care", "is_mandatory": "y"}
        answer = browser.post("/apps/my-app/uploads", data=data, headers=headers)
        assert (answer.status_code, "No file" in answer.text, "typed with care" in answer.text) == (
            422,
            True,
            True,
        )


def test_an_upload_by_htmx_is_sent_on_to_its_page(browser: FlaskClient) -> None:
    token = csrf_of(browser.get("/apps/my-app/uploads/new"))
    answer = browser.post(
        "/apps/my-app/uploads", data={"file": (io.BytesIO(apk()), "a.apk"), "csrf_token": token}, headers=HX
    )
    assert (answer.status_code, answer.headers["HX-Redirect"].startswith("/apps/my-app/uploads/")) == (
        204,
        True,
    )


def test_a_forged_upload_leaves_nothing_behind(app: Flask, browser: FlaskClient) -> None:
    answer = browser.post(
        "/apps/my-app/uploads", data={"file": (io.BytesIO(apk()), "a.apk"), "csrf_token": "forged"}
    )
    assert answer.status_code == 400
    assert list(part(Settings, app).incoming_path.iterdir()) == []


def test_deactivating_asks_first_and_then_does_it(browser: FlaskClient, api: Api) -> None:
    api.published()
    confirm = browser.get("/apps/my-app/versions/1/withdraw")
    assert "<strong>nothing</strong>" in confirm.text
    assert "already installed 1.0.0" in confirm.text
    assert api.check()["update_available"] is True
    browser.post(
        "/apps/my-app/versions/1/withdraw",
        data={"csrf_token": csrf_of(confirm), "revision": revision_of(confirm)},
    )
    assert api.check()["reason"] == "no_release"
    assert "withdrawn" in browser.get("/apps/my-app/versions").text


def test_rolling_back_shows_what_comes_instead(browser: FlaskClient, api: Api) -> None:
    api.published(1, "1.0.0")
    release = api.published(2, "1.1.0")["release"]
    where = f"/apps/my-app/releases/{release['id']}/rollback"
    confirm = browser.get(where)
    assert "1.0.0" in confirm.text
    browser.post(where, data={"csrf_token": csrf_of(confirm), "revision": revision_of(confirm)})
    assert api.check("0.9.0+0")["version_code"] == 1


def test_pausing_and_resuming_are_one_click(browser: FlaskClient, api: Api) -> None:
    release = api.published()["release"]
    for verb, reason in (("pause", "paused"), ("resume", "update_available")):
        page = browser.get(f"/apps/my-app/releases/{release['id']}")
        data = {"csrf_token": csrf_of(page), "revision": revision_of(page)}
        assert browser.post(f"/apps/my-app/releases/{release['id']}/{verb}", data=data).status_code == 303
        assert api.check()["reason"] == reason


def test_the_channel_that_came_with_the_upload_is_proposed(
    app: Flask, browser: FlaskClient, api: Api
) -> None:
    with app.app_context(), transaction() as session:
        found = apps.find(session, None)
        session.add(Channel(app_id=found.id, name="beta", is_default=False, created_at=utcnow()))
    api.upload(apk(), app="my-app", channel="beta")
    page = browser.get("/apps/my-app/versions/1/publish").text
    assert '<option selected value="beta">' in page


def test_publishing_to_a_part_takes_percent(browser: FlaskClient, api: Api) -> None:
    api.version()
    confirm = browser.get("/apps/my-app/versions/1/publish")
    form = {
        "csrf_token": csrf_of(confirm),
        "revision": revision_of(confirm),
        "channel": "stable",
        "rollout": "12.5",
    }
    browser.post("/apps/my-app/versions/1/publish", data=form)
    assert api.get("/api/versions/1").json["version"]["releases"][0]["rollout"] == 1250
    assert "live 12.5 %" in browser.get("/apps/my-app/versions").text


@pytest.mark.parametrize(
    "rollout", ["", "-1", "101", "12.345", "abc", "inf", "nan", "sNaN", "1e999999999", "0.001"]
)
def test_a_percentage_that_is_none_comes_back_with_its_message(
    browser: FlaskClient, api: Api, rollout: str
) -> None:
    api.version()
    confirm = browser.get("/apps/my-app/versions/1/publish")
    form = {
        "csrf_token": csrf_of(confirm),
        "revision": revision_of(confirm),
        "channel": "stable",
        "rollout": rollout,
    }
    answer = browser.post("/apps/my-app/versions/1/publish", data=form)
    assert (answer.status_code, 'class="wrong"' in answer.text) == (422, True)
    assert api.check()["reason"] == "no_release"


def test_a_partial_release_is_widened_on_its_page(browser: FlaskClient, api: Api) -> None:
    made = api.version()
    release = api.post(f"/api/versions/{made['id']}/releases", {"rollout": 0}).json["release"]
    assert api.check()["reason"] == "not_in_rollout"
    page = browser.get(f"/apps/my-app/releases/{release['id']}")
    where = f"/apps/my-app/releases/{release['id']}/rollout"
    form = {"csrf_token": csrf_of(page), "revision": revision_of(page), "rollout": "100"}
    wrong = browser.post(where, data={**form, "rollout": "many"})
    assert (wrong.status_code, 'class="form-wrong"' in wrong.text, 'value="many"' in wrong.text) == (
        422,
        True,
        True,
    )
    assert browser.post(where, data=form).status_code == 303
    assert api.check()["update_available"] is True
    assert browser.post(where, data=form).status_code == 409


def test_only_what_a_device_can_still_be_offered_is_shown_as_live(browser: FlaskClient, api: Api) -> None:
    for code, version in ((1, "1.0.0"), (2, "1.1.0"), (3, "1.2.0")):
        api.published(code, version)
    newest = api.version(4, "1.3.0")
    api.post(f"/api/versions/{newest['id']}/releases", {"rollout": 1000})
    page = browser.get("/apps/my-app/versions").text
    cards = page.split('class="cards"')[1].split("</section>")[0]
    assert re.findall(r'class="live-name"[^>]*>\s*(\S+)', cards) == ["1.3.0", "1.2.0"]
    assert page.count("superseded") == 2


def test_uploads_that_found_no_app_are_shown_with_the_default_app_alone(
    sign_in: Callable[..., FlaskClient], api: Api
) -> None:
    admin = sign_in(EMAILS[Role.ADMIN])
    admin.post("/apps", data={"name": "Other", "slug": "other", "csrf_token": csrf_of(admin.get("/apps"))})
    api.upload(b"nothing", "lost.apk")
    assert "lost.apk" in admin.get("/apps/my-app/uploads").text
    assert "lost.apk" not in admin.get("/apps/other/uploads").text


def test_of_two_publishers_the_second_sees_the_present_state(
    sign_in: Callable[..., FlaskClient], api: Api
) -> None:
    api.version()
    first, second = sign_in(), sign_in(SECOND_PUBLISHER)
    pages = [who.get("/apps/my-app/versions/1/publish") for who in (first, second)]
    forms = [
        {"csrf_token": csrf_of(page), "revision": revision_of(page), "channel": "stable", "rollout": "100"}
        for page in pages
    ]
    assert first.post("/apps/my-app/versions/1/publish", data=forms[0]).status_code == 303
    late = second.post("/apps/my-app/versions/1/publish", data=forms[1])
    assert late.status_code == 409
    assert "already on stable" in late.text
    assert EMAILS[Role.PUBLISHER] in late.text


def test_a_stale_edit_shows_both_states_and_can_be_sent_again(browser: FlaskClient, api: Api) -> None:
    api.version()
    page = browser.get("/apps/my-app/versions/1/edit")
    form = {"csrf_token": csrf_of(page), "revision": revision_of(page), "release_notes": "mine"}
    api.patch("/api/versions/1", {"release_notes": "theirs"})
    stale = browser.post("/apps/my-app/versions/1/edit", data=form)
    assert stale.status_code == 409
    assert "theirs" in stale.text
    assert "mine" in stale.text
    again = {**form, "revision": revision_of(stale)}
    assert browser.post("/apps/my-app/versions/1/edit", data=again).status_code == 303
    assert api.get("/api/versions/1").json["version"]["release_notes"] == "mine"


@pytest.mark.parametrize("page", ["edit", "withdraw", "publish"])
def test_a_form_without_its_revision_changes_nothing(browser: FlaskClient, api: Api, page: str) -> None:
    api.published() if page == "withdraw" else api.version()
    form = {
        "csrf_token": csrf_of(browser.get(f"/apps/my-app/versions/1/{page}")),
        "release_notes": "x",
        "channel": "stable",
        "rollout": "100",
    }
    answer = browser.post(f"/apps/my-app/versions/1/{page}", data=form)
    assert answer.status_code == 409
    assert api.get("/api/versions/1").json["version"]["is_active"] is (page == "withdraw")


def test_a_version_that_lives_elsewhere_is_added_by_its_address(browser: FlaskClient, api: Api) -> None:
    form = {
        "csrf_token": csrf_of(browser.get("/apps/my-app/versions/new")),
        "version": "3.0.0",
        "version_code": "30",
        "platform": "ios",
        "download_url": "https://files.example.com/a.ipa",
        "checksum": "AB" * 32,
    }
    wrong = browser.post("/apps/my-app/versions/new", data={**form, "checksum": "abc", "version_code": "x"})
    assert (wrong.status_code, "files.example.com/a.ipa" in wrong.text) == (422, True)
    assert browser.post("/apps/my-app/versions/new", data=form).status_code == 303
    version = api.get("/api/versions").json["versions"][0]
    assert (version["download_url"], version["checksum"], version["is_active"]) == (
        form["download_url"],
        "ab" * 32,
        False,
    )


def test_a_version_that_was_never_published_can_be_deleted(browser: FlaskClient, api: Api) -> None:
    api.version()
    confirm = browser.get("/apps/my-app/versions/1/delete")
    assert (
        browser.post("/apps/my-app/versions/1/delete", data={"csrf_token": csrf_of(confirm)}).status_code
        == 303
    )
    assert browser.get("/apps/my-app/versions/1").status_code == 404


def test_versions_are_found_by_name_code_and_notes(browser: FlaskClient, api: Api) -> None:
    for code, version in ((1, "1.0.0"), (22, "2.5.0")):
        api.version(code, version)
    api.patch("/api/versions/1", {"release_notes": "100% of the_login"})
    for search, found in (
        ("2.5", "2.5.0"),
        ("22", "2.5.0"),
        ("login", "1.0.0"),
        ("100%", "1.0.0"),
        ("the_l", "1.0.0"),
    ):
        page = browser.get("/apps/my-app/versions", query_string={"q": search}, headers=HX).text
        assert page.lstrip().startswith('<section id="versions">')
        assert f">{found}</a>" in page
        assert page.count("<tr data-href") == 1, search
    assert "No version matches" in browser.get("/apps/my-app/versions?q=%25%25").text


def test_long_lists_have_pages(app: Flask, browser: FlaskClient, api: Api) -> None:
    body = {"platform": "android", "download_url": "https://files.example.com/a.apk", "checksum": "ab" * 32}
    for code in range(1, 61):
        assert (
            api.post(
                "/api/updates/publish", {**body, "version": f"1.{code}.0", "version_code": code}
            ).status_code
            == 201
        )
    for path, size, total in (("versions", 50, 60), ("activity", 100, 121)):
        first = browser.get(f"/apps/my-app/{path}").text
        assert re.findall(r">\s*(Older|Newer)\s*</a>", first) == ["Older"]
        second = browser.get(f"/apps/my-app/{path}?start={size}").text
        assert re.findall(r">\s*(Older|Newer)\s*</a>", second) == ["Newer"]
        mark = "<tr data-href" if path == "versions" else '<span class="what">'
        assert (first.count(mark), second.count(mark)) == (size, total - size)


def test_going_back_in_the_browser_brings_the_whole_page(browser: FlaskClient, api: Api) -> None:
    api.version()
    page = browser.get("/apps/my-app/versions?q=1", headers={**HX, "HX-History-Restore-Request": "true"}).text
    assert page.startswith("<!doctype html>")


@pytest.mark.parametrize(
    "query", ["start=-5", "start=abc", "start=99999999999999999999", "q=" + "x" * 5_000, "q=\\", "platform=5"]
)
def test_odd_queries_are_no_accident(browser: FlaskClient, query: str) -> None:
    assert browser.get(f"/apps/my-app/versions?{query}").status_code == 200


def test_what_comes_from_a_package_or_a_person_is_shown_as_text(
    browser: FlaskClient, app: Flask, api: Api
) -> None:
    upload = api.upload(apk(version=HOSTILE[:50], code=7), f"{HOSTILE}.apk", release_notes=HOSTILE)
    pages = [
        "/apps/my-app/versions",
        "/apps/my-app/versions/1",
        "/apps/my-app/versions/1/edit",
        "/apps/my-app/versions/1/publish",
    ]
    pages += [
        "/apps/my-app/uploads",
        f"/apps/my-app/uploads/{upload['id']}",
        "/apps/my-app/activity",
        f"/apps/my-app/versions?q={HOSTILE}",
    ]
    for path in pages:
        page = browser.get(path).text
        assert "<img" not in page, path
        assert "&lt;img" in page, path


def test_an_app_is_created_renamed_and_made_the_default(
    sign_in: Callable[..., FlaskClient], api: Api
) -> None:
    admin = sign_in(EMAILS[Role.ADMIN])
    token = csrf_of(admin.get("/apps"))
    bad = admin.post("/apps", data={"name": "Field", "slug": "Not A Slug", "csrf_token": token})
    assert (bad.status_code, "lower-case" in bad.text) == (422, True)
    assert (
        admin.post("/apps", data={"name": "Field", "slug": "field", "csrf_token": token}).status_code == 303
    )
    assert (
        admin.post("/apps", data={"name": "Field", "slug": "field", "csrf_token": token}).status_code == 422
    )
    page = admin.get("/apps/field/settings")
    form = {"name": "Field Service", "revision": revision_of(page), "csrf_token": token}
    assert admin.post("/apps/field/settings", data=form).status_code == 303
    assert admin.post("/apps/field/settings", data=form).status_code == 409
    admin.post("/apps/field/default", data={"csrf_token": token})
    assert admin.get("/").headers["Location"] == "/apps/field/versions"


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/apps/nowhere/versions",
        "/apps/my-app/versions/9",
        "/apps/my-app/uploads/9",
        "/apps/%00/versions",
    ],
)
def test_an_unknown_address_gets_a_page_of_its_own(browser: FlaskClient, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, "Not here" in answer.text) == (404, True)


def test_another_apps_version_is_not_shown_here(
    app: Flask, sign_in: Callable[..., FlaskClient], api: Api
) -> None:
    admin = sign_in(EMAILS[Role.ADMIN])
    admin.post("/apps", data={"name": "Other", "slug": "other", "csrf_token": csrf_of(admin.get("/apps"))})
    release = api.published()["release"]
    for path in (
        "versions/1",
        "versions/1/edit",
        "versions/1/publish",
        "versions/1/withdraw",
        f"releases/{release['id']}/rollback",
    ):
        assert admin.get(f"/apps/other/{path}").status_code == 404
    assert (
        admin.post(
            f"/apps/other/releases/{release['id']}/pause", data={"csrf_token": csrf_of(admin.get("/apps"))}
        ).status_code
        == 404
    )


def test_the_history_shows_who_did_what(browser: FlaskClient, api: Api) -> None:
    api.published()
    page = browser.get("/apps/my-app/activity").text
    for words in ("upload became a version", "created the version", "published", EMAILS[Role.PUBLISHER]):
        assert words in page
