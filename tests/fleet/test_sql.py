"""The queries in docs/fleet.md, run as they are on reports of devices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from ota.db import reader
from tests.conftest import Api, drain

QUERIES = re.findall(
    r"\n([^\n]+):\n\n```sql\n(.+?);\n```", (Path(__file__).parents[2] / "docs" / "fleet.md").read_text(), re.S
)


@pytest.fixture
def asked(app: Flask, api: Api) -> Flask:
    """Count reports of three devices: one updates, one only checks, and one fails."""
    api.published(2, "1.1.0")
    for device in ("updates", "fails", "asks"):
        api.check("1.0.0+1", device_id=device)
    drain(app)
    for device in ("updates", "fails"):
        api.check("1.1.0+2", device_id=device)
    crash = {
        "device_id": "fails",
        "event": "crash",
        "event_id": "e1",
        "platform": "android",
        "version": "1.1.0+2",
        "signature": "NPE",
    }
    assert api.client.post("/api/updates/events", json=crash).json["taken"] == 1
    drain(app)
    return app


def rows(app: Flask, title: str) -> list[tuple[Any, ...]]:
    """Return the rows of the query below a title."""
    (query,) = (sql for above, sql in QUERIES if above == title)
    with app.app_context():
        return [tuple(row) for row in reader().execute(text(query))]


def near(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [
        tuple(
            round(float(cell), 3) if isinstance(cell, float) or hasattr(cell, "quantize") else cell
            for cell in row
        )
        for row in found
    ]


def test_there_is_a_query_for_each_table() -> None:
    together = " ".join(sql for _, sql in QUERIES)
    assert len(QUERIES) == 6
    for table in ("devices", "update_checks", "update_completions", "release_counts", "failure_signatures"):
        assert re.search(rf"FROM {table}\b", together), table


def test_adoption_is_told_by_version_and_by_app_and_platform(asked: Flask) -> None:
    assert near(rows(asked, "Devices by version")) == [("1.1.0+2", 2, 66.667), ("1.0.0+1", 1, 33.333)]
    found = near(rows(asked, "The same for each app and platform, with shares that mean something"))
    assert found == [("my-app", "android", "1.1.0+2", 2, 66.667), ("my-app", "android", "1.0.0+1", 1, 33.333)]


def test_offers_completions_and_failures_are_told(asked: Flask) -> None:
    assert sorted(rows(asked, "What devices were offered, from single checks")) == [
        ("android", "1.0.0+1", "1.1.0", "update_available", 3, 3),
        ("android", "1.1.0+2", None, "up_to_date", 2, 2),
    ]
    assert [row[:4] for row in rows(asked, "Who went from which version to which")] == [
        ("android", "1.0.0+1", "1.1.0+2", 2)
    ]
    assert rows(asked, "How far the devices of each release came") == [
        (1, "failed", 1, 1),
        (1, "installed", 2, 0),
        (1, "offered", 3, 3),
    ]
    assert rows(asked, "What fails on the most devices") == [("1.1.0", "crash", "NPE", 1)]
