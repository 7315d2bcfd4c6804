"""Explain, through the API and as a page: it shows the same decision that devices get."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from ota import catalogs
from ota.apps import apps
from ota.clock import utcnow
from ota.core.lifecycle import LIVE_STATES
from ota.core.permissions import Role
from ota.core.platforms import Platform
from ota.db import reader, transaction
from ota.models import App, Channel, DeviceGroup, DeviceGroupMember, Release, Version
from ota.web.journal import hashed
from tests.conftest import EMAILS, Api, drain

pytestmark = pytest.mark.sqlite_suffices

ASKED = {"platform": "android"}


def explain(api: Api, current: str | None = "1.0.0+1", **more: Any) -> dict[str, Any]:
    """Explain the answer to a device."""
    asked = {**ASKED, **({"current_version": current} if current else {}), **more}
    answer = api.get("/api/releases/explain?" + urlencode(asked))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def random_catalog(app: Flask, dice: random.Random) -> None:
    """Create a channel with a fallback, and random releases on both."""
    with app.app_context(), transaction() as session:
        now = utcnow()
        owner = apps.find(session, None)
        stable = apps.find_channel(owner, None)
        beta = Channel(app_id=owner.id, name="beta", created_at=now, is_shut_off=False)
        beta.falls_back_to = [stable]
        session.add(beta)
        session.flush()
        stable.is_shut_off = dice.random() < 0.1
        group = DeviceGroup(app_id=owner.id, name="testers", created_at=now)
        session.add(group)
        session.flush()
        for number in range(0, 25, 3):
            session.add(
                DeviceGroupMember(
                    group_id=group.id, device_hash=hashed(f"device-{number}"), added_at=now, added_by="dice"
                )
            )
        for code in range(1, 9):
            version = Version(
                app_id=owner.id,
                platform=Platform.ANDROID,
                version=f"1.{code // 3}.{code % 3}",
                version_code=code,
                download_url="https://files.example.com/a.apk",
                checksum="ab" * 32,
                is_mandatory=dice.random() < 0.2,
                is_active=True,
                min_supported_version=dice.choice([None, None, "1.0.2", "1.1.0+4"]),
                created_at=now,
                published_at=now,
                min_sdk=dice.choice([None, 24]),
                abis=dice.choice([None, None, "arm64-v8a"]),
            )
            session.add(version)
            session.flush()
            session.add(
                Release(
                    channel_id=dice.choice([stable.id, beta.id]),
                    version_id=version.id,
                    platform=Platform.ANDROID,
                    state=dice.choice([*sorted(LIVE_STATES), "active", "active"]),
                    rollout=dice.choice([0, 500, 5_000, 10_000, 10_000]),
                    salt=f"salt-{code}",
                    starts_at=now + timedelta(hours=dice.choice([-1, -1, -1, 1])),
                    mandatory_from=dice.choice(
                        [None, None, now - timedelta(hours=1), now + timedelta(hours=1)]
                    ),
                    critical_below=dice.choice([None, None, "1.1.0"]),
                    groups=dice.choice([[], [], [group]]),
                    is_floor=dice.random() < 0.2,
                    created_at=now,
                    created_by="dice",
                )
            )
        catalogs.touch(session, owner.id)


@pytest.mark.parametrize("seed", range(6))
def test_the_explained_decision_is_the_one_that_devices_get(app: Flask, api: Api, seed: int) -> None:
    dice = random.Random(seed)
    random_catalog(app, dice)
    for number in range(25):
        asked: dict[str, Any] = {
            "channel": dice.choice(["stable", "beta"]),
            "device_id": f"device-{number}",
            "user_initiated": dice.random() < 0.2,
            "sdk": dice.choice([21, 34]),
            "abis": dice.choice([["arm64-v8a"], ["x86", "x86_64"]]),
        }
        current = dice.choice(["1.0.0", "1.0.1", "1.1.0+3", "1.0.0+0", "1.0.1+1", "1.1.2+5", "9.0.0+99"])
        answer = api.check(current, **asked)
        explained = explain(
            api,
            current,
            **{
                **asked,
                "user_initiated": str(asked["user_initiated"]).lower(),
                "abis": ",".join(asked["abis"]),
            },
        )
        decision = explained["decision"]
        for ours, theirs in (
            ("version", "latest_version"),
            ("version_code", "version_code"),
            ("reason", "reason"),
            ("message", "message"),
        ):
            assert decision[ours] == answer[theirs], (asked, current, explained)
        for name in (
            "update_available",
            "is_mandatory",
            "blocked",
            "release_notes",
            "current_version_withdrawn",
        ):
            assert decision[name] == answer[name], (asked, current, explained)
        assert explained["steps"][0]["rule"] == "shut_off"


def test_the_decision_is_explained_step_by_step(api: Api) -> None:
    api.published(1, "1.0.0")
    newest = api.published(2, "1.1.0")
    api.post(f"/api/releases/{newest['release']['id']}/pause")
    explained = explain(api, "0.9.0+0", device_id="device-1")
    assert (explained["decision"]["version"], explained["decision"]["channel"]) == ("1.0.0", "stable")
    assert "1.0.0 (+1) on stable" in explained["answer"]
    steps = [(step["rule"], step["outcome"], step["version"]) for step in explained["steps"]]
    assert ("state", "held_back", "1.1.0") in steps
    assert ("rollout", "passed", "1.0.0") in steps
    assert explained["steps"][0]["release_id"] is None
    assert explained["catalog"] == {"channels": ["stable"], "shut_off": [], "releases": 2}
    assert explained["device"] is None


def test_the_fields_of_a_known_device_can_be_omitted(app: Flask, api: Api) -> None:
    api.published(2, "1.1.0")
    api.check("1.0.0+1", device_id="known", sdk=21, abis=["x86", "arm64-v8a"])
    drain(app)
    explained = explain(api, None, device_id="known")
    assert explained["query"]["current_version"] == "1.0.0+1"
    assert explained["query"]["remembered"] == ["current_version", "sdk", "abis"]
    assert (explained["query"]["sdk"], explained["query"]["abis"]) == (21, ["arm64-v8a", "x86"])
    assert (explained["device"]["app_version"], explained["device"]["sdk"]) == ("1.0.0+1", 21)
    newer = explain(api, "1.1.0+2", device_id="known", sdk=34)
    assert (newer["query"]["sdk"], newer["query"]["remembered"], newer["decision"]["reason"]) == (
        34,
        ["abis"],
        "up_to_date",
    )


def test_remembered_fields_of_a_device_count(app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")
    with app.app_context(), transaction() as session:
        session.execute(update(Version).where(Version.id == made["version"]["id"]).values(min_sdk=24))
        catalogs.touch(session, 1)
    api.check("1.0.0+1", device_id="old-phone", sdk=21)
    drain(app)
    explained = explain(api, None, device_id="old-phone")
    assert explained["decision"]["reason"] == "os_too_old"
    assert any("Android 5.0 (API 21)" in step["text"] for step in explained["steps"])


def test_members_of_a_group_are_offered_the_release(app: Flask, api: Api) -> None:
    made = api.published(2, "1.1.0")
    api.post(f"/api/releases/{made['release']['id']}/rollout", {"rollout": 0})
    with app.app_context(), transaction() as session:
        now = utcnow()
        group = DeviceGroup(app_id=1, name="testers", created_at=now)
        session.add(group)
        session.flush()
        session.add(
            DeviceGroupMember(group_id=group.id, device_hash=hashed("tester"), added_at=now, added_by="test")
        )
        session.get_one(Release, made["release"]["id"]).groups = [group]
        catalogs.touch(session, 1)
    inside = explain(api, device_id="tester")
    assert (inside["decision"]["version"], inside["query"]["groups"]) == ("1.1.0", ["testers"])
    assert any("testers" in step["text"] for step in inside["steps"])
    assert explain(api, device_id="stranger")["decision"]["reason"] == "not_in_rollout"


def test_channels_that_are_shut_off_are_named(app: Flask, api: Api) -> None:
    api.published(2, "1.1.0")
    with app.app_context(), transaction() as session:
        owner = session.get_one(App, 1)
        beta = Channel(app_id=1, name="beta", created_at=utcnow())
        beta.falls_back_to = [apps.find_channel(owner, None)]
        session.add(beta)
    assert explain(api, channel="beta")["catalog"] == {
        "channels": ["beta", "stable"],
        "shut_off": [],
        "releases": 1,
    }
    with app.app_context(), transaction() as session:
        apps.find_channel(session.get_one(App, 1), "stable").is_shut_off = True
    found = explain(api, channel="beta")
    assert (found["catalog"], found["decision"]["reason"]) == (
        {"channels": ["beta"], "shut_off": ["stable"], "releases": 0},
        "no_release",
    )


def test_notes_are_in_the_requested_language(api: Api) -> None:
    made = api.published(2, "1.1.0", release_notes="News", localized_notes={"de": "Neues"})
    assert made["version"]["localized_notes"] == {"de": "Neues"}
    assert explain(api, locale="de-AT")["decision"]["release_notes"] == "Neues"
    assert explain(api, locale="fr")["decision"]["release_notes"] == "News"


def test_a_device_on_a_withdrawn_version_is_informed(api: Api) -> None:
    bad = api.published(2, "1.1.0")
    api.post(f"/api/updates/deactivate/{bad['version']['id']}")
    explained = explain(api, "1.1.0+2")
    assert explained["decision"]["current_version_withdrawn"] is True
    assert explained["steps"][-1]["rule"] == "withdrawn"


def test_a_plus_that_became_a_space_is_still_a_plus(api: Api) -> None:
    answer = api.get("/api/releases/explain?platform=android&current_version=1.0.0+7")
    assert answer.json["query"]["current_version"] == "1.0.0+7"


@pytest.mark.parametrize(
    ("asked", "status", "code", "field"),
    [
        ({"platform": "windows", "current_version": "1.0.0"}, 400, "unknown_platform", "platform"),
        ({"current_version": "1.0.0"}, 400, "missing_field", "platform"),
        ({**ASKED}, 400, "missing_current_version", "current_version"),
        ({**ASKED, "device_id": "never-seen"}, 400, "missing_current_version", "current_version"),
        ({**ASKED, "current_version": "one"}, 400, "bad_current_version", "current_version"),
        ({**ASKED, "current_version": "1.0.0", "app": "nowhere"}, 404, "unknown_app", "app"),
        ({**ASKED, "current_version": "1.0.0", "channel": "nowhere"}, 404, "unknown_channel", "channel"),
        ({**ASKED, "current_version": "1.0.0", "sdk": "many"}, 400, "invalid_field", "sdk"),
        ({**ASKED, "current_version": "1.0.0", "abis": "a b"}, 400, "invalid_field", "abis"),
        ({**ASKED, "current_version": "1.0.0", "os_version": "x"}, 400, "invalid_field", "os_version"),
        ({**ASKED, "current_version": "1.0.0", "device": "x"}, 400, "unknown_field", "device"),
        ({**ASKED, "current_version": "1.0.0", "device_id": "x" * 201}, 400, "invalid_field", "device_id"),
    ],
)
def test_a_malformed_question_is_answered_with_a_code_and_a_field(
    api: Api, asked: dict[str, str], status: int, code: str, field: str
) -> None:
    answer = api.get("/api/releases/explain?" + urlencode(asked))
    assert (answer.status_code, answer.json["code"], answer.json["details"]["field"]) == (status, code, field)
    assert len(answer.json["message"]) > 20


def test_a_viewer_can_ask_and_leaves_no_trace(app: Flask, api: Api) -> None:
    explain(Api(app, Role.VIEWER), device_id="asked-about")
    drain(app)
    with pytest.raises(AssertionError, match="missing_current_version"):
        explain(api, None, device_id="asked-about")


def test_the_page_shows_the_answer_first_and_then_the_steps(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    api.published(1, "1.0.0")
    newest = api.published(2, "1.1.0")
    api.post(f"/api/releases/{newest['release']['id']}/pause")
    browser = sign_in(EMAILS[Role.VIEWER])
    assert "What was looked at" not in browser.get("/apps/my-app/explain").text
    page = browser.get("/apps/my-app/explain?current_version=0.9.0%2B0&device_id=device-1")
    assert page.status_code == 200
    assert (
        page.text.index("is offered</span>")
        < page.text.index("What was looked at")
        < page.text.index("paused by a person")
    )
    assert 'value="0.9.0+0"' in page.text
    assert re.search(r'href="/apps/my-app/versions/2"\s*>1.1.0 \(\+2\) on stable</a>[^<]*paused', page.text)
    assert 'aria-current="page"' in page.text


def test_the_page_shows_the_latest_check_of_a_device(
    app: Flask, api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    api.published(2, "1.1.0")
    api.check("1.0.0+1", device_id="known", sdk=34)
    drain(app)
    page = sign_in().get("/apps/my-app/explain?device_id=known").text
    assert "API level 34" in page
    assert "used here: current version, sdk" in page


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("current_version=one", "current_version"),
        ("device_id=never-seen", "current_version"),
        ("platform=windows&current_version=1", "platform"),
        ("channel=nowhere&current_version=1", "channel"),
        ("current_version=1&sdk=many", "sdk"),
        ("current_version=1&sdk=" + "9" * 400, "sdk"),
        ("current_version=1&os_version=x", "os_version"),
        ("current_version=1&abis=a%20b", "abis"),
        ("current_version=1&device_id=" + "x" * 201, "device_id"),
    ],
)
def test_the_page_shows_an_error_at_its_field(
    sign_in: Callable[..., FlaskClient], query: str, field: str
) -> None:
    page = sign_in().get(f"/apps/my-app/explain?{query}")
    assert page.status_code == 422
    invalid = [each for each in re.findall(r"<(?:input|select)[^>]*>", page.text) if "aria-invalid" in each]
    assert [re.findall(r' name="(\w+)"', each) for each in invalid] == [[field]]
    assert re.search(rf'<p class="wrong" id="{field}-wrong">[^<]+</p>', page.text)


def test_entered_text_is_escaped(sign_in: Callable[..., FlaskClient]) -> None:
    page = sign_in().get("/apps/my-app/explain?current_version=1.0.0%2B1&device_id=%3Cscript%3E")
    assert page.status_code == 200
    assert "<script>" not in page.text.replace('<script src="', "")
    assert "&lt;script&gt;" in page.text


def test_asking_writes_nothing(app: Flask, api: Api) -> None:
    api.published(2, "1.1.0")
    with app.app_context():
        before = reader().get_one(App, 1).catalog_revision
    explain(api)
    with app.app_context():
        assert reader().get_one(App, 1).catalog_revision == before
