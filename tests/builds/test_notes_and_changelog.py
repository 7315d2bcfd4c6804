"""Release notes by language, and what is new since a version."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ota import catalogs
from ota.apps import apps
from ota.builds.fields import MAX_LANGUAGES, MAX_NOTES
from ota.clock import utcnow
from ota.core.locales import normal
from ota.db import transaction
from ota.models import Channel, Release
from tests.conftest import Api, csrf_of

pytestmark = pytest.mark.sqlite_suffices


def notes_of(api: Api, version_id: int) -> dict[str, str]:
    found: dict[str, str] = api.get(f"/api/versions/{version_id}").json["version"]["localized_notes"]
    return found


def changelog(api: Api, query: str = "") -> dict[str, Any]:
    answer = api.client.get(f"/api/updates/changelog?platform=android{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def names(found: dict[str, Any]) -> list[str]:
    return [each["version"] for each in found["versions"]]


@pytest.mark.parametrize(
    ("tag", "kept"),
    [
        ("de", "de"),
        ("pt-BR", "pt-br"),
        (" pt_BR ", "pt-br"),
        ("zh-Hant-TW", "zh-hant-tw"),
        ("es-419", "es-419"),
    ],
)
def test_a_language_tag_has_one_form(tag: str, kept: str) -> None:
    assert normal(tag) == kept


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "d",
        "de-",
        "-de",
        "de--at",
        "deutsch, bitte",
        "<b>",
        "123",
        "d" * 36,
        "de-" + "a" * 9,
        "\u0434\u0435",
    ],
)
def test_what_is_no_language_tag_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="Expected one such as de or pt-BR"):
        normal(tag)


def test_languages_are_added_changed_and_removed_one_by_one(api: Api) -> None:
    version = api.version(1, "1.0.0")
    address = f"/api/versions/{version['id']}"
    assert version["localized_notes"] == {}
    api.patch(address, {"localized_notes": {"pt-BR": "Novo", "de": "Neu"}})
    assert notes_of(api, version["id"]) == {"de": "Neu", "pt-br": "Novo"}
    api.patch(address, {"localized_notes": {"DE": "Neues\r\nund mehr", "fr": "Du neuf"}})
    assert notes_of(api, version["id"]) == {"de": "Neues\nund mehr", "fr": "Du neuf", "pt-br": "Novo"}
    answer = api.patch(address, {"localized_notes": {"de": None, "fr": "  "}})
    assert answer.json["version"]["localized_notes"] == {"pt-br": "Novo"}
    api.patch(address, {"release_notes": "For all"})
    assert notes_of(api, version["id"]) == {"pt-br": "Novo"}


def test_the_history_tells_only_of_the_languages_that_changed(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    version = api.version(1, "1.0.0")
    api.patch(f"/api/versions/{version['id']}", {"localized_notes": {"de": "Alt", "fr": "Bonjour"}})
    api.patch(f"/api/versions/{version['id']}", {"localized_notes": {"de": "Neu", "fr": "Bonjour"}})
    page = sign_in().get(f"/apps/my-app/versions/{version['id']}").text
    history = page[page.index("<h2>History") :]
    changed = re.findall(r"localized notes (.*)", history)
    assert len(changed) == 2
    assert "de: Alt" in changed[0]
    assert "de: Neu" in changed[0]
    assert "Bonjour" not in changed[0]
    assert "de: Alt; fr: Bonjour" in changed[1]


@pytest.mark.parametrize(
    ("notes", "code"),
    [
        ({"klingon language": "x"}, "bad_language"),
        ({"de": "x" * (MAX_NOTES + 1)}, "notes_too_long"),
        ({"pt-BR": "x", "pt_br": "y"}, "language_twice"),
        (
            {f"x{chr(97 + n // 26)}{chr(97 + n % 26)}": "x" for n in range(MAX_LANGUAGES + 1)},
            "too_many_languages",
        ),
        ("de", "invalid_field"),
        ({"de": 5}, "invalid_field"),
    ],
)
def test_notes_that_can_not_be_are_refused_and_nothing_is_kept(api: Api, notes: Any, code: str) -> None:
    version = api.version(1, "1.0.0")
    answer = api.patch(
        f"/api/versions/{version['id']}", {"localized_notes": notes, "release_notes": "changed"}
    )
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert api.get(f"/api/versions/{version['id']}").json["version"]["release_notes"] is None


def test_the_one_call_that_publishes_takes_them_too(api: Api) -> None:
    body = {
        "version": "1.0.0",
        "version_code": 1,
        "platform": "android",
        "download_url": "https://files.example.com/a.apk",
        "checksum": "ab" * 32,
        "release_notes": "News",
        "localized_notes": {"de": "Neues"},
    }
    assert api.post("/api/updates/publish", body).json["version"]["localized_notes"] == {"de": "Neues"}
    latest = "/api/updates/latest?platform=android"
    assert api.client.get(f"{latest}&locale=de-AT").json["release_notes"] == "Neues"
    assert api.client.get(f"{latest}&locale=fr").json["release_notes"] == "News"
    assert api.client.get(f"{latest}&locale=%F0%9F%98%80").json["release_notes"] == "News"
    assert api.client.get(latest).json["release_notes"] == "News"


def test_publishing_an_uploaded_build_adds_languages_to_those_it_has(api: Api) -> None:
    version = api.version(1, "1.0.0")
    api.patch(f"/api/versions/{version['id']}", {"localized_notes": {"fr": "Du neuf"}})
    body = {"version": "1.0.0", "version_code": 1, "platform": "android", "localized_notes": {"de": "Neues"}}
    assert api.post("/api/updates/publish", body).json["version"]["localized_notes"] == {
        "de": "Neues",
        "fr": "Du neuf",
    }


def form_of(browser: FlaskClient, *rows: tuple[str, str], **more: str) -> dict[str, Any]:
    page = browser.get("/apps/my-app/versions/1/edit")
    revision = re.search(r'name="revision" type="hidden" value="(\d+)"', page.text)
    assert revision
    return {
        "csrf_token": csrf_of(page),
        "revision": revision[1],
        "release_notes": "For all",
        "notes_language": [language for language, _ in rows],
        "notes_text": [text for _, text in rows],
        **more,
    }


def test_people_edit_them_in_rows_of_which_one_is_always_empty(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    api.version(1, "1.0.0")
    browser = sign_in()
    where = "/apps/my-app/versions/1/edit"
    assert browser.get(where).text.count('name="notes_language"') == 1
    assert (
        browser.post(where, data=form_of(browser, ("pt-BR", "Novo"), ("", ""), ("de", "Neu"))).status_code
        == 303
    )
    assert notes_of(api, 1) == {"de": "Neu", "pt-br": "Novo"}
    shown = browser.get(where).text
    assert shown.count('name="notes_language"') == 3
    assert (
        '<details class="more language-shown"><summary>In pt-br</summary>'
        in browser.get("/apps/my-app/versions/1").text
    )
    # A row whose text was emptied, or that is gone, is a language that is gone.
    assert browser.post(where, data=form_of(browser, ("de", ""), ("", ""))).status_code == 303
    assert notes_of(api, 1) == {}


def test_one_more_row_is_added_without_saving_what_was_typed(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    api.version(1, "1.0.0")
    browser = sign_in()
    more = browser.post(
        "/apps/my-app/versions/1/edit",
        data=form_of(browser, ("de", "Neu"), ("fr", "Du neuf"), more_notes="1"),
    )
    assert (more.status_code, more.text.count('name="notes_language"')) == (200, 4)
    assert "Du neuf" in more.text
    assert ">For all</textarea>" in more.text.replace("\r\n", "")
    assert notes_of(api, 1) == {}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([("", "Neu")], "Say which language this is"),
        ([("deutsch bitte", "Neu")], "is no language tag"),
        ([("de", "a"), ("DE", "b")], "is there twice"),
        ([("de", "x" * (MAX_NOTES + 1))], "20,000"),
    ],
)
def test_wrong_rows_come_back_as_they_were_typed(
    api: Api, sign_in: Callable[..., FlaskClient], rows: list[tuple[str, str]], sentence: str
) -> None:
    api.version(1, "1.0.0")
    browser = sign_in()
    answer = browser.post("/apps/my-app/versions/1/edit", data=form_of(browser, *rows))
    assert answer.status_code == 422
    assert sentence in answer.text
    assert rows[0][1] in answer.text
    assert answer.text.count('name="notes_language"') == len(rows) + 1


def test_a_stale_form_shows_both_and_a_form_without_rows_removes_nothing(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    api.version(1, "1.0.0")
    browser = sign_in()
    form = form_of(browser, ("de", "Meins"))
    api.patch("/api/versions/1", {"localized_notes": {"fr": "De quelqu'un d'autre"}})
    answer = browser.post("/apps/my-app/versions/1/edit", data=form)
    assert answer.status_code == 409
    assert "Meins" in answer.text
    assert "De quelqu&#39;un d&#39;autre" in answer.text
    form = form_of(browser)
    del form["notes_language"], form["notes_text"]
    assert browser.post("/apps/my-app/versions/1/edit", data=form).status_code == 303
    assert notes_of(api, 1) == {"fr": "De quelqu'un d'autre"}


def test_what_is_new_is_everything_between_the_device_and_everybody(api: Api) -> None:
    for code, name in ((1, "1.0.0"), (2, "1.1.0"), (3, "1.2.0")):
        api.published(code, name, release_notes=f"What {name} brings", is_mandatory=code == 2)
    api.version(4, "1.3.0")
    found = changelog(api, "&since=1.0.0%2B1")
    assert (found["since"], found["latest_version"], names(found)) == ("1.0.0+1", "1.2.0", ["1.2.0", "1.1.0"])
    middle = found["versions"][1]
    assert (middle["version_code"], middle["release_notes"], middle["is_mandatory"]) == (
        2,
        "What 1.1.0 brings",
        True,
    )
    assert middle["published_at"].endswith("Z")
    assert names(changelog(api, "&since=1.1.0")) == ["1.2.0"]
    assert names(changelog(api, "&since=1.1.0+2")) == ["1.2.0"]
    assert names(changelog(api, "&since=9.0.0")) == []
    assert (changelog(api)["since"], names(changelog(api))) == (None, ["1.2.0", "1.1.0", "1.0.0"])
    assert names(changelog(api, "&limit=1")) == ["1.2.0"]


def test_what_is_not_for_everybody_is_not_told(app: Flask, api: Api) -> None:
    kept = [api.published(code, f"1.{code}.0") for code in range(1, 8)]

    def release(number: int) -> int:
        found: int = kept[number - 1]["release"]["id"]
        return found

    api.post(f"/api/releases/{release(2)}/rollout", {"rollout": 5_000})
    api.post(f"/api/releases/{release(3)}/rollback")
    api.post(f"/api/updates/deactivate/{kept[3]['version']['id']}")
    api.post(f"/api/releases/{release(5)}/pause")
    api.post(f"/api/releases/{release(7)}/rollout", {"rollout": 9_999})
    with app.app_context(), transaction() as session:
        session.get_one(Release, release(6)).starts_at = utcnow() + timedelta(hours=1)
        catalogs.touch(session, 1)
    found = changelog(api)
    assert (found["latest_version"], names(found)) == ("1.1.0", ["1.1.0"])


def test_fallbacks_are_followed_and_shut_off_is_silence(app: Flask, api: Api) -> None:
    api.published(1, "1.0.0")
    beta_only = api.version(2, "1.1.0-beta.1")
    with app.app_context(), transaction() as session:
        beta = Channel(app_id=1, name="beta", created_at=utcnow())
        beta.falls_back_to = [apps.find_channel(apps.find(session, None), None)]
        session.add(beta)
    api.post(f"/api/versions/{beta_only['id']}/releases", {"channel": "beta"})
    assert names(changelog(api, "&channel=beta")) == ["1.1.0-beta.1", "1.0.0"]
    assert names(changelog(api)) == ["1.0.0"]
    with app.app_context(), transaction() as session:
        apps.find(session, None).is_shut_off = True
        catalogs.touch(session, 1)
    assert (changelog(api)["latest_version"], names(changelog(api))) == (None, [])


def test_the_changelog_speaks_the_language_of_the_device(api: Api) -> None:
    api.published(1, "1.0.0", release_notes="News", localized_notes={"pt": "Novo"})
    assert changelog(api, "&locale=pt-BR")["versions"][0]["release_notes"] == "Novo"
    assert changelog(api, "&locale=sv")["versions"][0]["release_notes"] == "News"


def test_the_newest_twenty_are_enough_for_whoever_says_nothing(app: Flask, api: Api) -> None:
    for code in range(1, 24):
        body = {
            "version": f"1.{code}.0",
            "version_code": code,
            "platform": "android",
            "download_url": "https://files.example.com/a.apk",
            "checksum": "ab" * 32,
        }
        assert api.post("/api/updates/publish", body).status_code == 201
    assert names(changelog(api)) == [f"1.{code}.0" for code in range(23, 3, -1)]
    assert len(changelog(api, "&since=0.1.0")["versions"]) == 23
    assert len(changelog(api, "&limit=23")["versions"]) == 23


def test_caches_may_keep_the_changelog_for_a_minute_but_no_failure(api: Api) -> None:
    good = api.client.get("/api/updates/changelog?platform=android")
    assert (good.headers["Cache-Control"], "Set-Cookie" in good.headers) == ("public, max-age=60", False)
    assert (
        api.client.get("/api/updates/changelog?platform=android&since=x").headers["Cache-Control"]
        == "no-store"
    )


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("platform=android&since=yesterday", 400, "bad_since"),
        ("platform=android&since=1.0.0%2B99999999999999999999", 400, "bad_since"),
        ("", 400, "missing_field"),
        ("platform=windows", 400, "unknown_platform"),
        ("platform=android&app=nowhere", 404, "unknown_app"),
        ("platform=android&channel=nowhere", 404, "unknown_channel"),
        ("platform=android&limit=0", 400, "invalid_field"),
        ("platform=android&limit=101", 400, "invalid_field"),
        ("platform=android&limit=many", 400, "invalid_field"),
    ],
)
def test_a_changelog_that_can_not_be_says_why(
    client: FlaskClient, query: str, status: int, code: str
) -> None:
    answer = client.get(f"/api/updates/changelog?{query}")
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert len(answer.json["message"]) > 20
