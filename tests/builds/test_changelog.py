"""The changelog: the release notes since a version."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ota import catalogs
from ota.apps import apps
from ota.clock import utcnow
from ota.db import transaction
from ota.models import Channel, Release
from tests.conftest import Api

pytestmark = pytest.mark.sqlite_suffices


def changelog(api: Api, query: str = "") -> dict[str, Any]:
    answer = api.client.get(f"/api/updates/changelog?platform=android{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def names(found: dict[str, Any]) -> list[str]:
    return [each["version"] for each in found["versions"]]


def test_the_changelog_has_every_version_between_the_device_and_the_newest(api: Api) -> None:
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


def test_versions_that_are_not_open_to_everybody_are_left_out(app: Flask, api: Api) -> None:
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


def test_fallbacks_are_followed_and_a_shut_off_app_has_no_changelog(app: Flask, api: Api) -> None:
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


def test_a_changelog_has_twenty_versions_unless_more_are_asked_for(app: Flask, api: Api) -> None:
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
def test_a_malformed_question_for_the_changelog_is_refused(
    client: FlaskClient, query: str, status: int, code: str
) -> None:
    answer = client.get(f"/api/updates/changelog?{query}")
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert len(answer.json["message"]) > 20
