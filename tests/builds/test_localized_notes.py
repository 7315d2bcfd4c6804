"""Release notes by language: kept, edited, refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from ota.builds.fields import MAX_LANGUAGES, MAX_NOTES
from ota.core.locales import normal
from tests.conftest import Api, csrf_of

pytestmark = pytest.mark.sqlite_suffices


def notes_of(api: Api, version_id: int) -> dict[str, str]:
    found: dict[str, str] = api.get(f"/api/versions/{version_id}").json["version"]["localized_notes"]
    return found


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
def test_a_malformed_language_tag_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="language tag"):
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


def test_the_history_has_only_the_languages_that_changed(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    version = api.version(1, "1.0.0")
    api.patch(f"/api/versions/{version['id']}", {"localized_notes": {"de": "Alt", "fr": "Bonjour"}})
    api.patch(f"/api/versions/{version['id']}", {"localized_notes": {"de": "Neu", "fr": "Bonjour"}})
    page = sign_in().get(f"/apps/my-app/versions/{version['id']}").text
    history = page[page.index("<h2>History") :]
    changed = [item for item in history.split("<li>") if "localized notes" in item]
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
def test_malformed_notes_are_refused_and_nothing_is_kept(api: Api, notes: Any, code: str) -> None:
    version = api.version(1, "1.0.0")
    answer = api.patch(
        f"/api/versions/{version['id']}", {"localized_notes": notes, "release_notes": "changed"}
    )
    assert (answer.status_code, answer.json["code"]) == (400, code)
    assert api.get(f"/api/versions/{version['id']}").json["version"]["release_notes"] is None


def test_the_one_call_that_publishes_takes_localized_notes(api: Api) -> None:
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


def test_people_edit_notes_in_rows_and_one_row_is_always_empty(
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
    assert "<summary>In pt-br</summary>" in browser.get("/apps/my-app/versions/1").text
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
    ("rows", "word"),
    [
        ([("", "Neu")], "which language"),
        ([("deutsch bitte", "Neu")], "language tag"),
        ([("de", "a"), ("DE", "b")], "twice"),
        ([("de", "x" * (MAX_NOTES + 1))], "20,000"),
    ],
)
def test_wrong_rows_come_back_as_they_were_typed(
    api: Api, sign_in: Callable[..., FlaskClient], rows: list[tuple[str, str]], word: str
) -> None:
    api.version(1, "1.0.0")
    browser = sign_in()
    answer = browser.post("/apps/my-app/versions/1/edit", data=form_of(browser, *rows))
    assert answer.status_code == 422
    assert word in answer.text
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
