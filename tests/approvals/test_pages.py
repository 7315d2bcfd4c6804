"""Proposals on the pages: approving, declining and taking them back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ota.core.permissions import Role
from tests.conftest import EMAILS, SECOND_PUBLISHER, Api, csrf_of
from tests.releases.given import HOME, send, with_channels, words_of

pytestmark = pytest.mark.sqlite_suffices


@pytest.fixture
def proposed(app: Flask, sign_in: Callable[..., FlaskClient], api: Api) -> FlaskClient:
    """Propose 1.0.0 for all devices of a channel with the rule "above 10 %". Return the author's browser."""
    with_channels(app, approval_above=1000)
    api.version()
    author = sign_in()
    where = "/apps/my-app/versions/1/publish"
    dialog = author.get(where)
    assert "Ask for approval" in dialog.text
    answer = send(author, where, dialog, channel="stable", rollout="100")
    assert answer.headers["Location"] == HOME
    return author


def test_what_opens_too_far_waits_and_its_author_can_only_take_it_back(
    proposed: FlaskClient, api: Api
) -> None:
    page = proposed.get(HOME)
    shown = words_of(page)
    assert "waits until another person" in shown
    assert "You asked: Release 1.0.0 (+1) on stable: 100 %" in shown
    assert "Take back" in shown
    assert ">Approve<" not in page.text.replace("</svg> Approve<", ">Approve<")
    assert api.check()["reason"] == "no_release"
    own = proposed.post("/apps/my-app/proposals/1/approve", data={"csrf_token": csrf_of(page)})
    assert (own.status_code, "yourself" in own.text) == (403, True)
    assert (
        proposed.post("/apps/my-app/proposals/1/decline", data={"csrf_token": csrf_of(page)}).status_code
        == 303
    )
    shown = words_of(proposed.get(HOME))
    assert "Taken back:" in shown
    assert "You asked" not in shown


def test_another_person_approves_and_it_is_done(
    proposed: FlaskClient, sign_in: Callable[..., FlaskClient], api: Api
) -> None:
    second = sign_in(SECOND_PUBLISHER)
    page = second.get("/apps/my-app/versions")
    assert 'class="count" title="1 waiting for approval"' in page.text
    assert f"{EMAILS[Role.PUBLISHER]} asks: Release 1.0.0 (+1) on stable" in words_of(second.get(HOME))
    assert (
        second.post("/apps/my-app/proposals/1/approve", data={"csrf_token": csrf_of(page)}).status_code == 303
    )
    assert "Approved. Version 1.0.0" in words_of(second.get(HOME))
    assert api.check()["update_available"] is True
    again = second.post("/apps/my-app/proposals/1/approve", data={"csrf_token": csrf_of(page)})
    assert (again.status_code, "approved already" in again.text) == (409, True)
    assert 'class="count"' not in second.get(HOME).text
    history = words_of(second.get("/apps/my-app/activity"))
    assert "asked for approval" in history
    assert "approved the proposal" in history


def test_what_can_not_be_done_any_more_stays_open_and_says_why(
    proposed: FlaskClient, sign_in: Callable[..., FlaskClient], api: Api
) -> None:
    api.patch("/api/versions/1", {"release_notes": "changed meanwhile"})
    second = sign_in(SECOND_PUBLISHER)
    answer = second.post("/apps/my-app/proposals/1/approve", data={"csrf_token": csrf_of(second.get(HOME))})
    assert answer.status_code == 409
    box = answer.text.split('id="proposal-1"')[1].split("</section>")[0]
    assert "changed version 1.0.0" in box
    assert (
        second.post("/apps/my-app/proposals/1/decline", data={"csrf_token": csrf_of(answer)}).status_code
        == 303
    )
    assert "Declined:" in words_of(second.get(HOME))
    assert api.get("/api/proposals").json["proposals"][0]["state"] == "declined"


def test_a_wider_rollout_and_a_plan_wait_too(
    app: Flask, sign_in: Callable[..., FlaskClient], api: Api
) -> None:
    made = api.version()
    release = api.post(f"/api/versions/{made['id']}/releases", {"rollout": 500}).json["release"]
    with_channels(app, approval_above=1000)
    author, where = sign_in(), f"{HOME}/{release['id']}"
    assert "10 % needs another person" in words_of(author.get(where))
    assert send(author, f"{where}/rollout", author.get(where), rollout="10").status_code == 303
    assert send(author, f"{where}/rollout", author.get(where), rollout="50").status_code == 303
    assert "waits for another person" in words_of(author.get(where))
    steps = {"step_percent": ["10", "100"], "step_hours": ["24", ""]}
    assert send(author, f"{where}/plan", author.get(where), **steps).status_code == 303
    assert [proposal["kind"] for proposal in api.get("/api/proposals").json["proposals"]] == [
        "plan",
        "rollout",
    ]
    assert api.get(f"/api/releases/{release['id']}").json["release"]["rollout"] == 1000


def test_another_apps_proposal_and_a_viewer_get_nowhere(
    proposed: FlaskClient, sign_in: Callable[..., FlaskClient], api: Api
) -> None:
    admin = sign_in(EMAILS[Role.ADMIN])
    token = csrf_of(admin.get("/apps"))
    admin.post("/apps", data={"name": "Other", "slug": "other", "csrf_token": token})
    assert admin.post("/apps/other/proposals/1/approve", data={"csrf_token": token}).status_code == 404
    assert admin.post("/apps/my-app/proposals/9/decline", data={"csrf_token": token}).status_code == 404
    viewer = sign_in(EMAILS[Role.VIEWER])
    page = viewer.get(HOME)
    assert "asks:" in words_of(page)
    assert (
        viewer.post("/apps/my-app/proposals/1/approve", data={"csrf_token": csrf_of(page)}).status_code == 403
    )


def test_what_was_decided_on_an_old_state_is_told_and_nobody_is_asked_to_approve_it(
    app: Flask, sign_in: Callable[..., FlaskClient], api: Api
) -> None:
    made = api.version()
    started = api.post(f"/api/versions/{made['id']}/releases", {"rollout": 500})
    release = started.json["release"]
    with_channels(app, approval_above=1000)
    browser = sign_in()
    where = f"{HOME}/{release['id']}"
    seen = browser.get(where)
    assert api.post(f"/api/releases/{release['id']}/rollout", {"rollout": 700}).status_code == 200
    steps = {"step_percent": ["10", "100"], "step_hours": ["24", ""]}
    for verb, fields in (("rollout", {"rollout": "80"}), ("plan", steps)):
        answer = send(browser, f"{where}/{verb}", seen, **fields)
        assert answer.status_code == 409, verb
        assert "You saw live, open to 5 % Now live, open to 7 %" in words_of(answer)
    assert api.get("/api/proposals").json["proposals"] == []


def test_a_version_that_changed_meanwhile_is_told_and_nobody_is_asked_to_approve_it(
    app: Flask, sign_in: Callable[..., FlaskClient], api: Api
) -> None:
    with_channels(app, approval_above=1000)
    made = api.version()
    browser = sign_in()
    where = f"/apps/my-app/versions/{made['id']}/publish"
    seen = browser.get(where)
    assert api.patch(f"/api/versions/{made['id']}", {"is_mandatory": True}).status_code == 200
    answer = send(browser, where, seen, channel="stable", rollout="100")
    assert answer.status_code == 409
    assert "Somebody was faster" in answer.text
    assert api.get("/api/proposals").json["proposals"] == []
