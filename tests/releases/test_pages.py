"""The pages of releases: the list, one release, its forms, and forms that come back stale."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ota.clock import utcnow
from ota.core.permissions import Role
from tests.conftest import EMAILS, Api
from tests.releases.given import (
    HOME,
    revision_of,
    send,
    with_channels,
    with_devices,
    with_groups,
    words_of,
)

pytestmark = pytest.mark.sqlite_suffices

PLAN = [{"rollout": 1000, "soak_minutes": 1440}, {"rollout": 5000, "soak_minutes": 1440}, {"rollout": 10_000}]


@pytest.fixture
def browser(sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    return sign_in()


def released(api: Api, code: int = 2, version: str = "1.1.0", **terms: Any) -> dict[str, Any]:
    """Add a version and release it on these terms."""
    made = api.version(code, version)
    answer = api.post(f"/api/versions/{made['id']}/releases", terms or {"rollout": 1000})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json["release"]
    return found


def test_without_releases_the_page_teaches_the_next_step(browser: FlaskClient) -> None:
    page = browser.get(HOME)
    assert "Nothing is offered" in page.text
    assert 'href="/apps/my-app/uploads/new"' in page.text


def test_the_page_says_what_is_live_for_how_many_and_what_is_underneath(
    app: Flask, browser: FlaskClient, api: Api
) -> None:
    api.published(1, "1.0.0")
    with_devices(app, 30, "1.0.0", 1)
    released(api, plan=PLAN)
    page = words_of(browser.get(HOME))
    assert "Android on stable 30 devices" in page
    assert "1.1.0 +2 live 10 %" in page
    assert "about 3 of 30" in page
    assert "10 % now, for 24 h 50 % in 23 h 59 min 100 % after 24 h" in page
    assert page.index("Everybody else") < page.index("1.0.0 +1 live")
    assert "30 devices run" in page


def test_without_a_full_release_everybody_else_gets_nothing(browser: FlaskClient, api: Api) -> None:
    released(api)
    assert "Everybody else No update" in words_of(browser.get(HOME))


def test_no_step_of_a_plan_is_shown_as_taken_before_its_release_starts(
    browser: FlaskClient, api: Api
) -> None:
    release = released(api, plan=PLAN, starts_at=(utcnow() + timedelta(hours=5)).isoformat())
    for page in (browser.get(HOME), browser.get(f"{HOME}/{release['id']}")):
        assert "10 % at the start, for 24 h 50 % after 24 h 100 % after 24 h" in words_of(page)
        assert 'aria-current="step"' not in page.text


def test_the_reach_of_a_part_names_the_groups_that_come_on_top(
    app: Flask, browser: FlaskClient, api: Api
) -> None:
    with_groups(app, "testers")
    with_devices(app, 30, "1.0.0", 1)
    release = released(api, rollout=1000, groups=["testers"])
    page = words_of(browser.get(f"{HOME}/{release['id']}"))
    assert re.search(r"about 3 of 30 [^.]*groups", page)


def test_a_scheduled_release_stands_below_what_is_live(browser: FlaskClient, api: Api) -> None:
    api.published(1, "1.0.0")
    starts = utcnow() + timedelta(hours=14, minutes=5, seconds=30)
    released(api, starts_at=starts.isoformat(), rollout=1000)
    page = words_of(browser.get(HOME))
    assert page.index("1.0.0 +1 live") < page.index("Scheduled 1.1.0 +2 scheduled")
    assert re.search(r"in 14 h 5 min, [^.]*10 %", page)
    assert "Call off" in page


def test_a_viewer_sees_all_of_it_without_a_button(sign_in: Callable[..., FlaskClient], api: Api) -> None:
    release = released(api, plan=PLAN)
    viewer = sign_in(EMAILS[Role.VIEWER])
    for path in (HOME, f"{HOME}/{release['id']}"):
        content = viewer.get(path).text.split("<main", 1)[1].split("</main>")[0]
        assert "live 10 %" in content
        assert "<button" not in content.replace('class="button button-bare"', "")
    assert viewer.post(f"{HOME}/{release['id']}/pause", data={}).status_code in {400, 403}


def test_the_next_step_can_be_taken_now(browser: FlaskClient, api: Api) -> None:
    release = released(api, plan=PLAN)
    page = browser.get(HOME)
    answer = send(browser, f"{HOME}/{release['id']}/advance", page, **{"from": "list"})
    assert answer.headers["Location"] == HOME
    found = api.get(f"/api/releases/{release['id']}").json["release"]
    assert (found["rollout"], found["plan_step"]) == (5000, 1)


def test_the_plan_stands_still_while_the_release_is_paused(browser: FlaskClient, api: Api) -> None:
    release = released(api, plan=PLAN)
    api.post(f"/api/releases/{release['id']}/pause")
    page = words_of(browser.get(HOME))
    assert re.search(r"50 % [^%]*paused, 23 h 59 min left", page)
    assert "Nobody new" in page
    assert "Take the next step now" not in page


def test_a_stale_click_shows_both_states_and_can_be_repeated(browser: FlaskClient, api: Api) -> None:
    release = released(api)
    where = f"{HOME}/{release['id']}"
    page = browser.get(where)
    api.post(f"/api/releases/{release['id']}/rollout", {"rollout": 2500})
    api.post(f"/api/releases/{release['id']}/pause")
    stale = send(browser, f"{where}/rollout", page, rollout="50")
    assert stale.status_code == 409
    shown = words_of(stale)
    assert "You saw live, open to 10 %" in shown
    assert re.search(rf"Now paused, open to 25 %, [^.]* {EMAILS[Role.PUBLISHER]} \(test\)", shown)
    box = stale.text.split("stale", 1)[1].split("</form>")[0]
    assert f'action="{where}/rollout"' in box
    assert 'name="rollout" value="50"' in box
    assert send(browser, f"{where}/rollout", stale, rollout="50").status_code == 303
    assert api.get(f"/api/releases/{release['id']}").json["release"]["rollout"] == 5000


@pytest.mark.parametrize("verb", ["pause", "advance", "rollback", "withdraw"])
def test_each_verb_without_its_revision_changes_nothing(browser: FlaskClient, api: Api, verb: str) -> None:
    release = released(api, plan=PLAN)
    where = f"{HOME}/{release['id']}"
    answer = browser.post(f"{where}/{verb}", data={"csrf_token": csrf(browser, where)})
    assert (answer.status_code, "You saw" in answer.text) == (409, True)
    assert api.get(f"/api/releases/{release['id']}").json["release"]["revision"] == 1


def csrf(browser: FlaskClient, path: str) -> str:
    return browser.get(path).text.split('name="csrf_token" value="')[1].split('"')[0]


def test_what_is_done_already_is_said_where_the_eye_is(browser: FlaskClient, api: Api) -> None:
    release = released(api)
    api.post(f"/api/releases/{release['id']}/pause")
    page = browser.get(f"{HOME}/{release['id']}")
    answer = send(browser, f"{HOME}/{release['id']}/pause", page)
    assert answer.status_code == 409
    assert "can&#39;t be paused" in answer.text


def test_a_plan_is_given_changed_and_ended(browser: FlaskClient, api: Api) -> None:
    release = released(api)
    where = f"{HOME}/{release['id']}"
    steps = {"step_percent": ["10", "33.33", "100", "", ""], "step_hours": ["12", "0.5", "", "", ""]}
    assert send(browser, f"{where}/plan", browser.get(where), **steps).status_code == 303
    found = api.get(f"/api/releases/{release['id']}").json["release"]
    assert [(step["rollout"], step["soak_minutes"]) for step in found["plan"]] == [
        (1000, 720),
        (3333, 30),
        (10_000, 0),
    ]
    page = browser.get(where)
    assert "10 % now, for 12 h" in words_of(page)
    assert send(browser, f"{where}/plan", page, end="1").status_code == 303
    assert api.get(f"/api/releases/{release['id']}").json["release"]["plan"] == []


@pytest.mark.parametrize(
    ("percents", "hours", "problem"),
    [
        (["10", "5"], ["1", ""], "from 10 % to 5 %"),
        (["10", "abc"], ["1", ""], "Row 2: the percentage can&#39;t be read"),
        (["10.001", "50"], ["1", ""], "at most two decimals"),
        (["10", "50"], ["", ""], "Row 1: say how many hours"),
        (["5", "50"], ["1", ""], "open to 10 %"),
        (["", ""], ["", ""], "no step yet"),
        (["50", ""], ["1", ""], "One step is no plan"),
        (["NaN", "50"], ["1", ""], "can&#39;t be NaN"),
        (["1e999999999", "50"], ["1", ""], "can&#39;t be 1e999999999"),
        (["10", "50"], ["0.001", ""], "at most whole minutes"),
    ],
)
def test_a_plan_that_can_not_be_followed_comes_back_as_it_was_typed(
    browser: FlaskClient, api: Api, percents: list[str], hours: list[str], problem: str
) -> None:
    release = released(api)
    where = f"{HOME}/{release['id']}"
    answer = send(browser, f"{where}/plan", browser.get(where), step_percent=percents, step_hours=hours)
    assert answer.status_code == 422
    assert problem in answer.text
    for typed in filter(None, percents):
        assert re.search(rf'name="step_percent"\s+inputmode="decimal"\s+value="{typed}"', answer.text)
    assert api.get(f"/api/releases/{release['id']}").json["release"]["revision"] == 1


def test_terms_are_changed_and_their_history_is_told(app: Flask, browser: FlaskClient, api: Api) -> None:
    with_groups(app, "testers", "store 42")
    release = released(api)
    where = f"{HOME}/{release['id']}"
    form = {
        "groups": ["testers"],
        "mandatory_from": "2030-05-01T08:30",
        "critical_from": "1.0.0+1",
        "critical_below": "1.0.0+2",
    }
    assert send(browser, f"{where}/terms", browser.get(where), **form).status_code == 303
    found = api.get(f"/api/releases/{release['id']}").json["release"]
    assert (found["groups"], found["mandatory_from"]) == (["testers"], "2030-05-01T08:30:00Z")
    assert (found["critical_from"], found["critical_below"]) == ("1.0.0+1", "1.0.0+2")
    page = browser.get(where)
    shown = words_of(page)
    assert "mandatory from 1.0.0+1 below 1.0.0+2" in shown
    assert "groups none became testers" in shown
    assert 'value="2030-05-01T08:30"' in page.text
    assert send(browser, f"{where}/terms", page, **form).status_code == 303
    assert api.get(f"/api/releases/{release['id']}").json["release"]["revision"] == 2
    emptied = {"mandatory_from": "", "critical_from": "", "critical_below": ""}
    assert send(browser, f"{where}/terms", page, **emptied).status_code == 303
    cleared = api.get(f"/api/releases/{release['id']}").json["release"]
    assert (
        cleared["groups"],
        cleared["mandatory_from"],
        cleared["critical_from"],
        cleared["critical_below"],
    ) == ([], None, None, None)


def test_wrong_terms_and_stale_ones_keep_what_was_typed(browser: FlaskClient, api: Api) -> None:
    release = released(api)
    where = f"{HOME}/{release['id']}"
    page = browser.get(where)
    wrong = send(browser, f"{where}/terms", page, critical_below="banana", mandatory_from="soon")
    assert (wrong.status_code, 'value="banana"' in wrong.text) == (422, True)
    floor = send(browser, f"{where}/terms", page, is_floor="y")
    assert (floor.status_code, "a floor must be open" in floor.text.lower()) == (422, True)
    api.post(f"/api/releases/{release['id']}/pause")
    stale = send(browser, f"{where}/terms", page, critical_below="1.0.5")
    assert stale.status_code == 409
    assert 'value="1.0.5"' in stale.text
    assert "You saw" in stale.text
    assert send(browser, f"{where}/terms", stale, critical_below="1.0.5").status_code == 303


def test_the_start_moves_while_it_lies_ahead(browser: FlaskClient, api: Api) -> None:
    release = released(api, starts_at=(utcnow() + timedelta(hours=5)).isoformat())
    where = f"{HOME}/{release['id']}"
    later = f"{utcnow() + timedelta(hours=9):%Y-%m-%dT%H:%M}"
    assert send(browser, f"{where}/terms", browser.get(where), starts_at=later).status_code == 303
    assert api.get(f"/api/releases/{release['id']}").json["release"]["starts_at"].startswith(later)
    assert send(browser, f"{where}/terms", browser.get(where), starts_at="").status_code == 303
    assert api.check()["update_available"] is True


def test_rolling_back_says_how_many_keep_it_and_shows_the_way_out(
    app: Flask, browser: FlaskClient, api: Api
) -> None:
    api.published(1, "1.0.0")
    release = api.published(7, "1.1.0")["release"]
    with_devices(app, 12, "1.1.0", 7)
    where = f"{HOME}/{release['id']}"
    confirm = browser.get(f"{where}/rollback")
    assert "12 devices run 1.1.0" in words_of(confirm)
    assert "offered 1.0.0 +1" in words_of(confirm)
    assert send(browser, f"{where}/rollback", confirm, reason="Crash on login").status_code == 303
    page = browser.get(where)
    assert "Rolled back: Crash on login" in words_of(page)
    assert "12 devices run it" in words_of(page)
    assert 'href="/apps/my-app/uploads/new?repairs=2"' in page.text
    notice = words_of(browser.get("/apps/my-app/uploads/new?repairs=2"))
    assert "1.0.0 with a version code above 7" in notice


def test_the_repair_is_proposed_as_mandatory_for_exactly_those_devices(
    app: Flask, browser: FlaskClient, api: Api
) -> None:
    api.published(1, "1.0.0")
    bad = api.published(7, "1.1.0")["release"]
    with_devices(app, 12, "1.1.0", 7)
    api.post(f"/api/releases/{bad['id']}/rollback")
    repair = api.version(8, "1.0.1")
    where = f"/apps/my-app/versions/{repair['id']}/publish"
    dialog = browser.get(where)
    assert "12 devices on 1.1.0 (+7)" in words_of(dialog)
    assert 'name="repairs"' in dialog.text
    assert send(browser, where, dialog, channel="stable", rollout="100", repairs="y").status_code == 303
    stranded, other = api.check("1.1.0+7"), api.check("1.0.0+1")
    assert (stranded["version_code"], stranded["is_mandatory"]) == (8, True)
    assert (other["version_code"], other["is_mandatory"]) == (8, False)
    above = api.version(6, "1.0.9")
    assert 'name="repairs"' not in browser.get(f"/apps/my-app/versions/{above['id']}/publish").text


def test_publishing_along_a_preset_later_and_to_groups(app: Flask, browser: FlaskClient, api: Api) -> None:
    with_groups(app, "testers")
    made = api.version()
    where = f"/apps/my-app/versions/{made['id']}/publish"
    later = f"{utcnow() + timedelta(hours=9):%Y-%m-%dT%H:%M}"
    form = {
        "channel": "stable",
        "rollout": "100",
        "plan": "1-10-50-100",
        "starts_at": later,
        "groups": ["testers"],
    }
    assert send(browser, where, browser.get(where), **form).status_code == 303
    release = api.get("/api/releases").json["releases"][0]
    assert (release["rollout"], release["groups"], release["starts_at"][:16]) == (100, ["testers"], later)
    assert [step["rollout"] for step in release["plan"]] == [100, 1000, 5000, 10_000]


def test_a_start_in_the_past_comes_back_beside_its_field(browser: FlaskClient, api: Api) -> None:
    made = api.version()
    where = f"/apps/my-app/versions/{made['id']}/publish"
    answer = send(
        browser, where, browser.get(where), channel="stable", rollout="10", starts_at="2001-01-01T10:00"
    )
    assert (answer.status_code, "has passed" in answer.text, 'value="2001-01-01T10:00"' in answer.text) == (
        422,
        True,
        True,
    )


def test_a_version_that_changed_meanwhile_is_shown_before_it_is_published(
    browser: FlaskClient, api: Api
) -> None:
    made = api.version()
    where = f"/apps/my-app/versions/{made['id']}/publish"
    dialog = browser.get(where)
    api.patch(f"/api/versions/{made['id']}", {"is_mandatory": True})
    stale = send(browser, where, dialog, channel="stable", rollout="25")
    assert stale.status_code == 409
    assert "Now inactive, mandatory" in words_of(stale)
    assert 'value="25"' in stale.text
    assert send(browser, where, stale, channel="stable", rollout="25").status_code == 303


def test_a_version_is_promoted_from_its_page_and_the_dialog_follows_the_channel(
    app: Flask, browser: FlaskClient, api: Api
) -> None:
    with_channels(app, "beta")
    made = api.published()
    page = browser.get(f"/apps/my-app/versions/{made['version']['id']}")
    assert f'href="{HOME}/{made["release"]["id"]}"' in page.text
    where = f"/apps/my-app/versions/{made['version']['id']}/publish"
    assert f'href="{where}?channel=beta"' in page.text
    dialog = browser.get(f"{where}?channel=beta&rollout=20", headers={"HX-Request": "true"})
    assert '<option selected value="beta">' in dialog.text
    assert 'value="20"' in dialog.text
    assert "Android on beta now" in dialog.text
    assert send(browser, where, dialog, channel="beta", rollout="20").status_code == 303
    assert len(api.get("/api/releases?live=true").json["releases"]) == 2


@pytest.mark.parametrize(
    "query",
    ["rollout=", "rollout=abc", "rollout=nan", "rollout=1e999999999", "rollout=10&channel=nowhere&plan=x"],
)
def test_odd_choices_in_the_address_of_the_dialog_are_no_accident(
    browser: FlaskClient, api: Api, query: str
) -> None:
    api.version()
    assert browser.get(f"/apps/my-app/versions/1/publish?{query}").status_code == 200


def test_another_apps_release_is_not_shown_here(sign_in: Callable[..., FlaskClient], api: Api) -> None:
    release = released(api)
    admin = sign_in(EMAILS[Role.ADMIN])
    token = csrf(admin, HOME)
    admin.post("/apps", data={"name": "Other", "slug": "other", "csrf_token": token})
    where = f"/apps/other/releases/{release['id']}"
    for path in (where, f"{where}/rollback", f"{where}/withdraw"):
        assert admin.get(path).status_code == 404
    for verb in ("pause", "resume", "advance", "rollback", "withdraw", "plan", "terms", "rollout"):
        assert (
            admin.post(
                f"{where}/{verb}", data={"csrf_token": token, "rollout": "5", "revision": "1"}
            ).status_code
            == 404
        ), verb
    assert revision_of(admin.get(f"{HOME}/{release['id']}")) == "1"
