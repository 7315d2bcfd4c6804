"""A release that was found bad and not stopped: a person decides, and a new test begins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from ota.clock import utcnow
from ota.core.permissions import Role
from ota.db import reader, transaction
from ota.models import Release, ReleaseDevice, ReleaseHealth
from ota.releases import rows as release_rows
from tests.conftest import EMAILS, Api, csrf_of
from tests.health.given import evaluate

pytestmark = pytest.mark.sqlite_suffices


def evaluated(app: Flask, release_id: int) -> dict[str, Any]:
    with app.app_context():
        row = evaluate(release_id, utcnow())
        return {"is_bad": row.is_bad, "state": release_rows.get(reader(), release_id).state}


def fails(app: Flask, release_id: int, numbers: range) -> None:
    at = utcnow() - timedelta(hours=3)
    started = at - timedelta(hours=9)
    with app.app_context(), transaction() as session:
        session.execute(update(Release).values(starts_at=started, full_since=started))
        for number in numbers:
            session.add(
                ReleaseDevice(
                    release_id=release_id,
                    device_id=f"{number:064}",
                    is_control=False,
                    version_code=2,
                    offered_at=at,
                    enrolled_at=at,
                    installed_at=at,
                    failed_at=at,
                    crashed_at=at,
                )
            )


@pytest.fixture
def release(app: Flask, api: Api) -> int:
    Api(app, Role.ADMIN).patch("/api/apps/my-app/health-policy", {"action": "notify"})
    found: int = api.published(2, "1.1.0")["release"]["id"]
    return found


def test_a_person_begins_a_new_test_of_a_release_that_goes_on(
    app: Flask, api: Api, release: int, sign_in: Callable[..., FlaskClient]
) -> None:
    path = f"/api/releases/{release}/test-anew"
    assert (api.post(path).status_code, api.post(path).json["code"]) == (409, "not_found_bad")
    fails(app, release, range(40))
    assert evaluated(app, release) == {"is_bad": True, "state": "active"}
    assert Api(app, Role.VIEWER).post(path).status_code == 403
    browser = sign_in(EMAILS[Role.PUBLISHER])
    page = browser.get(f"/apps/my-app/releases/{release}")
    assert f'/releases/{release}/test-anew"' in page.text
    revision = api.get(f"/api/releases/{release}").json["release"]["revision"]
    sent = {"csrf_token": csrf_of(page), "revision": str(revision)}
    assert browser.post(f"/apps/my-app/releases/{release}/test-anew", data=sent).status_code == 303
    assert "began a new test" in browser.get("/apps/my-app/activity").text
    assert "test-anew" not in browser.get(f"/apps/my-app/releases/{release}").text
    assert evaluated(app, release) == {"is_bad": False, "state": "active"}


def test_a_release_that_was_found_bad_while_paused_is_tested_anew_when_it_is_resumed(
    app: Flask, api: Api, release: int
) -> None:
    Api(app, Role.ADMIN).patch("/api/apps/my-app/health-policy", {"action": "halt"})
    api.post(f"/api/releases/{release}/pause")
    fails(app, release, range(40))
    assert evaluated(app, release) == {"is_bad": True, "state": "paused"}
    api.post(f"/api/releases/{release}/resume")
    assert evaluated(app, release) == {"is_bad": False, "state": "active"}
    with app.app_context(), transaction() as session:
        session.query(ReleaseHealth).update({"since": utcnow() - timedelta(hours=4)})
    assert evaluated(app, release) == {"is_bad": True, "state": "halted"}


def test_a_stricter_policy_stops_a_release_that_was_found_bad_before(app: Flask, release: int) -> None:
    fails(app, release, range(40))
    assert evaluated(app, release) == {"is_bad": True, "state": "active"}
    Api(app, Role.ADMIN).patch("/api/apps/my-app/health-policy", {"action": "halt"})
    assert evaluated(app, release) == {"is_bad": True, "state": "halted"}
