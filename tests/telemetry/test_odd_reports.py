"""Malformed reports, which some apps send: each event is judged by itself, and none stops the counting."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from ota.db import reader
from ota.models import FailureSignature
from ota.telemetry import accept
from ota.web.telemetry.broken_json import repaired
from tests.conftest import Api, drain
from tests.telemetry.given import codes, event, kept, send

pytestmark = pytest.mark.sqlite_suffices

NEVER = "9999-12-31T23:59:59-12:00"


def send_bytes(api: Api, raw: bytes) -> TestResponse:
    return api.client.post("/api/updates/events", data=raw, content_type="application/json")


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The database does not answer the doors. Undo it to count what they accepted."""

    def no_answer(*_: Any, **__: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("gone"))

    with monkeypatch.context() as patched:
        patched.setattr(accept, "find_sender", no_answer)
        yield patched


@pytest.mark.parametrize(
    "sent_at",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+10:00", NEVER, "2026-03-01", "yesterday", 5, {}, []],
)
def test_an_unreadable_clock_spoils_only_events_with_a_time(api: Api, app: Flask, sent_at: Any) -> None:
    api.published(2, "1.1.0")
    answer = send(
        api, event(1), event(2, at=NEVER), event(3, at="0001-06-01T00:00:00Z"), event(4), sent_at=sent_at
    )
    assert answer["taken"] == 2
    assert [index for index, _ in codes(answer)] == [1, 2]
    assert {each.event_id for each in kept(app)} == {"e-1", "e-4"}


@pytest.mark.parametrize(
    "sent_at", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+10:00", NEVER, "yesterday", None]
)
def test_a_late_report_with_an_impossible_time_does_not_stop_the_counting(
    api: Api, app: Flask, away: pytest.MonkeyPatch, sent_at: str | None
) -> None:
    api.published(2, "1.1.0")
    odd = [
        event(2, at=NEVER),
        event(3, at="0001-06-01T00:00:00Z"),
        event(4, duration_ms=10**25),
        event(5, at="2026-03-01T12:00:00"),
    ]
    assert (3, "bad_duration") in codes(send(api, event(1), *odd, sent_at=sent_at))
    api.check("1.0.0+1", device_id="phone")
    away.undo()
    assert drain(app) > 1
    assert [each.event_id for each in kept(app)] == ["e-1"]


def test_an_unreadable_time_is_answered_with_a_readable_example(api: Api) -> None:
    api.published(2, "1.1.0")
    answer = send(api, *(event(1, at=at) for at in ("2026-03-01", 5, NEVER, "2026-03-01T12:00:00")))
    assert ["2026-03-01T12:00:00Z" in each["message"] for each in answer["refused"]] == [True] * 4


@pytest.mark.parametrize(
    "odd", [rb"cut \ud83d", rb"\udc00 alone", rb"\\\ud83d\ud83d\ude00", b"no \xff UTF-8", "nested"]
)
def test_a_broken_text_costs_no_other_event(api: Api, app: Flask, odd: Any) -> None:
    api.published(2, "1.1.0")
    spoiled = b"[" * 990 + b"]" * 990 if odd == "nested" else b'"' + odd + b'"'
    items = (
        json.dumps(event(1)).encode(),
        json.dumps(event(2, event="crash")).encode()[:-1] + b', "signature": ' + spoiled + b"}",
    )
    raw = b'{"device_id": "phone", "platform": "android", "events": [' + b", ".join(items) + b"]}"
    answer = send_bytes(api, raw)
    assert answer.status_code == 202
    assert (answer.json["taken"], codes(answer.json)) == (
        (1, [(1, "invalid_field")]) if odd == "nested" else (2, [])
    )
    assert len(kept(app)) == answer.json["taken"]


def test_a_crash_with_a_nul_in_its_text_is_a_crash(api: Api, app: Flask) -> None:
    api.published(2, "1.1.0")
    api.check("1.0.0+1", device_id="phone")
    answer = send(
        api,
        event(1, event="crash", signature="SIG\0SEGV", text="\0at x"),
        event("\0"),
        event(3, version="1.1.0\0"),
    )
    assert (answer["taken"], codes(answer)) == (1, [(1, "invalid_text"), (2, "invalid_text")])
    assert [each.kind for each in kept(app)] == ["crash"]
    with app.app_context():
        found = reader().scalars(select(FailureSignature)).one()
        assert (found.signature, found.sample) == ("SIGSEGV", "at x")


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_a_valid_body_is_not_changed_by_the_repair(value: Any) -> None:
    for raw in (json.dumps(value).encode(), json.dumps(value, ensure_ascii=False).encode()):
        assert repaired(raw) == raw


@given(st.binary(max_size=200))
def test_any_bytes_can_be_repaired(raw: bytes) -> None:
    assert isinstance(repaired(raw), bytes)
