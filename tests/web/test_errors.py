"""When the server fails, callers still get an answer in their own form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from ota.db import transaction
from tests.conftest import Api

pytestmark = pytest.mark.sqlite_suffices


@pytest.fixture
def without_tables(app: Flask) -> Flask:
    """An application whose database answers with errors only."""
    with app.app_context(), transaction() as session:
        for table in (
            "audit_events",
            "releases",
            "uploads",
            "app_versions",
            "app_platforms",
            "channels",
            "devices",
            "share_links",
            "apps",
            "heartbeats",
        ):
            session.execute(text(f"ALTER TABLE {table} RENAME TO gone_{table}"))
    return app


def test_a_device_gets_json_and_no_trace(without_tables: Flask) -> None:
    answer = without_tables.test_client().post(
        "/api/updates/check", json={"platform": "android", "current_version": "1.0.0+1"}
    )
    assert answer.status_code in {500, 503}
    assert answer.json["ok"] is False
    assert "Traceback" not in answer.text


def test_a_person_gets_a_page_even_while_the_frame_can_not_be_drawn(
    sign_in: Callable[..., FlaskClient], request: pytest.FixtureRequest
) -> None:
    browser = sign_in()
    request.getfixturevalue("without_tables")
    answer = browser.get("/apps/my-app/versions")
    assert answer.status_code in {500, 503}
    assert "<h1>" in answer.text
    assert "Traceback" not in answer.text


def test_a_bug_is_answered_without_its_trace(app: Flask, api: Api) -> None:
    def broken() -> None:
        raise RuntimeError("secret detail")

    app.view_functions["client_api.latest"] = broken
    broken.__access__ = app.view_functions["client_api.check"].__access__  # type: ignore[attr-defined]
    answer = api.client.get("/api/updates/latest?platform=android")
    assert (answer.status_code, answer.json["code"], "secret detail" in answer.text) == (
        500,
        "internal_error",
        False,
    )
