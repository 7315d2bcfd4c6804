"""What no app should send, and some do: each event is judged by itself, and none stops the counting."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from ota.services import telemetry
from tests.conftest import Api, drain
from tests.web.test_reporting import codes, event, kept, send

NEVER = "9999-12-31T23:59:59-12:00"


def send_bytes(api: Api, raw: bytes) -> TestResponse:
    return api.client.post("/api/updates/events", data=raw, content_type="application/json")


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The database does not answer the doors; undo it to count what they took."""

    def no_answer(*_: Any, **__: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    with monkeypatch.context() as patched:
        patched.setattr(telemetry, "sender", no_answer)
        yield patched


@pytest.mark.parametrize("sent_at", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+10:00", NEVER, "2026-03-01", "yesterday", 5, {}, []])
def test_a_clock_that_can_not_be_read_spoils_only_what_is_told_with_a_time(api: Api, app: Flask, sent_at: Any) -> None:
    api.published(2, "1.1.0")
    answer = send(api, event(1), event(2, at=NEVER), event(3, at="0001-06-01T00:00:00Z"), event(4), sent_at=sent_at)
    assert answer["taken"] == 2
    assert [index for index, _ in codes(answer)] == [1, 2]
    assert {each.event_id for each in kept(app)} == {"e-1", "e-4"}


@pytest.mark.parametrize("sent_at", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+10:00", NEVER, "yesterday", None])
def test_a_late_report_of_no_time_of_this_world_does_not_stop_the_counting(
    api: Api, app: Flask, away: pytest.MonkeyPatch, sent_at: str | None
) -> None:
    api.published(2, "1.1.0")
    odd = [event(2, at=NEVER), event(3, at="0001-06-01T00:00:00Z"), event(4, duration_ms=10**25), event(5, at="2026-03-01T12:00:00")]
    assert (3, "bad_duration") in codes(send(api, event(1), *odd, sent_at=sent_at))
    api.check("1.0.0+1", device_id="phone")
    away.undo()
    assert drain(app) > 1
    assert [each.event_id for each in kept(app)] == ["e-1"]


def test_a_time_that_can_not_be_read_is_answered_with_one_that_can(api: Api) -> None:
    api.published(2, "1.1.0")
    answer = send(api, *(event(1, at=at) for at in ("2026-03-01", 5, NEVER, "2026-03-01T12:00:00")))
    assert ["for example 2026-03-01T12:00:00Z" in each["message"] for each in answer["refused"]] == [True] * 4
