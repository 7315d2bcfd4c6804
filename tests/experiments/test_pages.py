"""The pages of experiments: starting, showing and ending them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ota.clock import utcnow
from ota.db import transaction
from ota.models import ReleaseDevice
from tests.conftest import Api, csrf_of
from tests.releases.given import HOME, send, with_channels, with_devices, words_of

pytestmark = pytest.mark.sqlite_suffices

WHERE = "/apps/my-app/experiments"


@pytest.fixture
def browser(sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    return sign_in()


def start(browser: FlaskClient, **fields: str) -> object:
    form = {
        "name": "Short onboarding",
        "channel": "stable",
        "version_1": "1",
        "percent_1": "30",
        "version_2": "2",
        "percent_2": "33.33",
        **fields,
    }
    return browser.post(f"{WHERE}/new", data={"csrf_token": csrf_of(browser.get(f"{WHERE}/new")), **form})


@pytest.fixture
def running(browser: FlaskClient, api: Api) -> str:
    """Start an experiment with 1.0.0 and 1.1.0. Return its address."""
    api.version(1, "1.0.0")
    api.version(2, "1.1.0")
    where: str = start(browser).headers["Location"]  # type: ignore[attr-defined]
    return where


def test_the_empty_page_says_what_an_experiment_is_for(browser: FlaskClient) -> None:
    assert "No experiment yet" in browser.get(WHERE).text
    assert "Upload another build" in browser.get(f"{WHERE}/new").text


def test_an_experiment_shows_its_arms_as_one_divided_bar(
    app: Flask, browser: FlaskClient, running: str
) -> None:
    with_devices(app, 10, "1.1.0", 2)
    for path in (running, WHERE, HOME):
        page = browser.get(path)
        assert "1.0.0 +1 30 % 1.1.0 +2 33.33 % the rest 36.67 %" in words_of(page), path
        assert '<rect class="arm-2" x="3000" width="3333" height="10"/>' in page.text
    assert "about 3 of 10" in words_of(browser.get(running))
    arm = browser.get(f"{HOME}/1")
    assert "An arm of an experiment" in arm.text
    assert f'action="{HOME}/1/rollout"' not in arm.text


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"version_2": "1"}, "two arms"),
        ({"percent_1": "80"}, "113.33 %"),
        ({"percent_1": ""}, "0.01 to 100 percent"),
        ({"percent_1": "1e999999999"}, "Expected 0.01 to 100 percent"),
        ({"percent_1": "33.333"}, "At most two decimals"),
        ({"version_2": ""}, "compares 2 to 10 versions"),
        ({"name": ""}, "Give the experiment a name"),
        ({"version_2": "999"}, "Not a valid choice"),
    ],
)
def test_arms_that_can_not_be_come_back_as_they_were_typed(
    browser: FlaskClient, api: Api, fields: dict[str, str], shown: str
) -> None:
    api.version(1, "1.0.0")
    api.version(2, "1.1.0")
    answer = start(browser, **fields)
    assert (answer.status_code, shown in answer.text, 'value="33.33"' in answer.text) == (422, True, True)  # type: ignore[attr-defined]
    assert api.get("/api/experiments").json["experiments"] == []


def test_a_second_one_on_the_same_devices_is_refused(browser: FlaskClient, api: Api, running: str) -> None:
    answer = start(browser)
    assert (answer.status_code, "end that one first" in answer.text) == (409, True)  # type: ignore[attr-defined]


def test_the_end_says_whom_each_winner_leaves_behind(
    app: Flask, browser: FlaskClient, api: Api, running: str
) -> None:
    with_devices(app, 3, "1.0.0", 1)
    with_devices(app, 5, "1.1.0", 2)
    confirm = browser.get(f"{running}/end")
    shown = words_of(confirm)
    assert "5 devices run a losing version" in shown
    assert "3 devices on the losing versions" in shown
    assert "8 devices run one of the arms" in shown
    assert send(browser, f"{running}/end", confirm, winner="1").status_code == 303
    assert "1.0.0 won" in words_of(browser.get(running))
    assert api.check("0.9.0+0")["version_code"] == 1


def test_it_ends_without_a_winner(browser: FlaskClient, api: Api, running: str) -> None:
    assert send(browser, f"{running}/end", browser.get(f"{running}/end"), winner="0").status_code == 303
    assert "without a winner" in words_of(browser.get(running))
    assert api.check()["reason"] == "no_release"
    again = browser.get(f"{running}/end")
    assert send(browser, f"{running}/end", again, winner="0").status_code == 409


@pytest.mark.parametrize(
    ("fields", "status"),
    [({"winner": "99"}, 422), ({"winner": "1", "revision": "7"}, 409), ({"revision": ""}, 409)],
)
def test_a_wrong_winner_or_a_stale_form_ends_nothing(
    browser: FlaskClient, api: Api, running: str, fields: dict[str, str], status: int
) -> None:
    answer = send(browser, f"{running}/end", browser.get(f"{running}/end"), **fields)
    assert answer.status_code == status
    assert api.get("/api/experiments/1").json["experiment"]["state"] == "running"


def test_a_winner_for_everybody_waits_for_another_person(
    app: Flask, browser: FlaskClient, api: Api, running: str
) -> None:
    with_channels(app, approval_above=5000)
    confirm = browser.get(f"{running}/end")
    assert "needs another person" in words_of(confirm)
    assert send(browser, f"{running}/end", confirm, winner="2").headers["Location"] == HOME
    assert "waits until another person" in words_of(browser.get(HOME))
    assert api.get("/api/experiments/1").json["experiment"]["state"] == "running"


def arrived(app: Flask, arm: int, offered: int, installed: int, failed: int) -> None:
    """Add journeys of devices in an arm, which is the id of a release."""
    at = utcnow()
    with app.app_context(), transaction() as session:
        for number in range(offered):
            has_it = at if number < installed else None
            session.add(
                ReleaseDevice(
                    release_id=arm,
                    device_id=f"{arm}-{number}",
                    is_control=False,
                    version_code=arm,
                    offered_at=at,
                    installed_at=has_it,
                    enrolled_at=has_it,
                    failed_at=at if number < failed else None,
                )
            )


def test_the_results_say_what_is_beyond_chance(app: Flask, browser: FlaskClient, running: str) -> None:
    assert "No device has been offered" in browser.get(running).text
    arrived(app, 1, 400, 200, 2)
    arrived(app, 2, 400, 320, 3)
    shown = words_of(browser.get(running))
    assert "1.0.0 50.00 % (45.12 to 54.88 %) 200 of 400" in shown
    assert re.search(
        r"beyond chance Installed more often [^:]*: \+30\.0 points \(\+18\.8 to \+41\.2\)", shown
    )
    assert re.search(r"could be chance [^:]*: -0\.1 points", shown)
    confirm = words_of(browser.get(f"{running}/end"))
    assert re.search(
        r"320 of 400 devices \([^)]*more often[^)]*\), failed on 3 of 320 \(no difference", confirm
    )


def test_few_devices_are_said_to_be_too_few(app: Flask, browser: FlaskClient, running: str) -> None:
    arrived(app, 1, 20, 10, 0)
    shown = words_of(browser.get(running))
    assert re.search(r"too few devices [^.]*1\.0\.0, 100 devices of each", shown)
    assert "none yet" in shown


def test_why_an_arm_is_halted_is_said_above_the_results(api: Api, browser: FlaskClient, running: str) -> None:
    assert "is halted" not in words_of(browser.get(running))
    assert api.post("/api/releases/2/halt", {"reason": "12 of 40 devices failed."}).status_code == 200
    shown = words_of(browser.get(running))
    assert "1.1.0 is halted: 12 of 40 devices failed." in shown
