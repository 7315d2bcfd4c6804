"""Alerts in the API and on their page, for administrators."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from ota.alerts import tries
from ota.alerts.transports import http
from ota.clock import utcnow
from ota.config import Settings
from ota.core.alerts import SELECTABLE
from ota.core.permissions import Role
from ota.db import reader, transaction
from ota.models import Webhook
from ota.parts import part
from tests.alerts.given import deliver_due
from tests.conftest import EMAILS, Api, csrf_of
from tests.receivers import Receiver

pytestmark = pytest.mark.sqlite_suffices

PAGE = "/apps/my-app/alerts"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, webhook_private=True)


@pytest.fixture
def admin(app: Flask) -> Api:
    return Api(app, Role.ADMIN)


@pytest.fixture
def browser(sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    return sign_in(EMAILS[Role.ADMIN])


def deliver(app: Flask) -> int:
    with app.app_context():
        return deliver_due(part(Settings, app))


def test_a_webhook_is_made_tried_out_changed_and_deleted(app: Flask, admin: Api, receiver: Receiver) -> None:
    made = admin.post("/api/webhooks", {"url": receiver.url})
    assert (made.status_code, made.json["webhook"]["events"]) == (201, [kind.value for kind in SELECTABLE])
    secret, webhook_id = made.json["secret"], made.json["webhook"]["id"]
    assert admin.post(f"/api/webhooks/{webhook_id}/test").status_code == 202
    assert deliver(app) == 1
    headers = receiver.requests[0].headers
    assert headers["X-OTA-Signature"] == http.signature(
        secret, headers["X-OTA-Timestamp"], receiver.requests[0].body
    )
    found = admin.get(f"/api/webhooks/{webhook_id}/deliveries").json["deliveries"]
    assert [(each["event"], each["state"], each["last_status"], each["next_try_at"]) for each in found] == [
        ("test", "delivered", 200, None)
    ]
    again = admin.post(f"/api/deliveries/{found[0]['id']}/resend")
    assert (again.status_code, again.json["delivery"]["state"], again.json["delivery"]["attempts"]) == (
        202,
        "pending",
        0,
    )
    assert admin.post(f"/api/deliveries/{found[0]['id']}/resend").json["code"] == "not_finished"
    changed = admin.patch(
        f"/api/webhooks/{webhook_id}", {"events": ["release.halted"], "rotate_secret": True, "revision": 1}
    ).json
    assert changed["webhook"]["events"] == ["release.halted"]
    assert changed["secret"] not in {None, secret}
    stale = admin.patch(f"/api/webhooks/{webhook_id}", {"is_enabled": False, "revision": 1})
    assert (stale.status_code, stale.json["current"]["revision"]) == (409, 2)
    listed = admin.get("/api/webhooks")
    assert secret not in listed.text
    assert changed["secret"] not in listed.text
    assert admin.delete(f"/api/webhooks/{webhook_id}").status_code == 200
    assert admin.get("/api/webhooks").json["webhooks"] == []
    assert admin.get(f"/api/webhooks/{webhook_id}/deliveries").status_code == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "ftp://hooks.example.com/"}, "bad_webhook_url"),
        ({"url": "https://"}, "bad_webhook_url"),
        ({"url": "https://hooks.example.com:0/"}, "bad_webhook_url"),
        ({"url": "https://hooks.example.com:99999/"}, "bad_webhook_url"),
        ({"url": "https://hooks.example.com/\r\nX: y"}, "bad_webhook_url"),
        ({"url": "https://hooks.example.com/" + "x" * 500}, "bad_webhook_url"),
        ({"url": "https://user:secret@hooks.example.com/"}, "password_in_url"),
        ({"url": "https://hooks.example.com/", "events": ["sunrise"]}, "bad_events"),
        ({"url": "https://hooks.example.com/", "events": ["test"]}, "bad_events"),
        ({"url": "https://hooks.example.com/", "events": []}, "bad_events"),
    ],
)
def test_a_webhook_that_can_not_be_is_refused(admin: Api, body: dict[str, object], code: str) -> None:
    answer = admin.post("/api/webhooks", body)
    assert (answer.status_code, answer.json["code"]) == (400, code)


def test_publishers_have_no_say_in_alerts(api: Api, sign_in: Callable[..., FlaskClient]) -> None:
    assert api.get("/api/webhooks").status_code == 403
    assert sign_in().get(PAGE).status_code == 403


def test_the_page_makes_a_webhook_and_shows_its_secret_once(
    app: Flask, browser: FlaskClient, api: Api, receiver: Receiver
) -> None:
    page = browser.get(PAGE)
    form = {
        "csrf_token": csrf_of(page),
        "webhook-url": receiver.url,
        "webhook-events": ["release.published", "release.halted"],
    }
    made = browser.post(f"{PAGE}/webhooks", data=form)
    with app.app_context():
        webhook = reader().scalars(select(Webhook)).one()
    assert (made.status_code, webhook.secret in made.text, webhook.secret in browser.get(PAGE).text) == (
        200,
        True,
        False,
    )
    receiver.status, receiver.write = 500, lambda file: file.write(b"<script>alert(1)</script>")
    api.published(1)
    assert deliver(app) == 1
    shown = browser.get(PAGE).text
    assert "failed so far" in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "Send again" not in shown


def test_a_delivery_is_sent_again_from_the_page(
    app: Flask, browser: FlaskClient, admin: Api, receiver: Receiver
) -> None:
    webhook_id = admin.post("/api/webhooks", {"url": receiver.url}).json["webhook"]["id"]
    form = {"csrf_token": csrf_of(browser.get(PAGE))}
    assert browser.post(f"{PAGE}/webhooks/{webhook_id}/test", data=form).status_code == 303
    deliver(app)
    again = re.search(rf'action="({PAGE}/deliveries/\d+/resend)"', browser.get(PAGE).text)
    assert again
    assert browser.post(again[1], data=form).status_code == 303
    assert deliver(app) == 1
    assert len({request.headers["X-OTA-Delivery"] for request in receiver.requests}) == 1
    assert len(receiver.requests) == 2


def test_a_wrong_form_is_shown_again_with_the_sentence(browser: FlaskClient) -> None:
    token = csrf_of(browser.get(PAGE))
    wrong = browser.post(
        f"{PAGE}/webhooks",
        data={"csrf_token": token, "webhook-url": "nonsense", "webhook-events": ["release.halted"]},
    )
    assert (wrong.status_code, "Expected an address" in wrong.text) == (422, True)
    none = browser.post(
        f"{PAGE}/webhooks", data={"csrf_token": token, "webhook-url": "https://hooks.example.com"}
    )
    assert (none.status_code, "at least one event" in none.text) == (422, True)
    mail = browser.post(
        f"{PAGE}/recipients",
        data={"csrf_token": token, "recipient-email": "a b", "recipient-events": ["release.halted"]},
    )
    assert (mail.status_code, "Expected an e-mail address" in mail.text) == (422, True)


def test_a_stale_form_shows_both_states(browser: FlaskClient, admin: Api, receiver: Receiver) -> None:
    webhook_id = admin.post("/api/webhooks", {"url": receiver.url}).json["webhook"]["id"]
    where = f"{PAGE}/webhooks/{webhook_id}"
    form = {
        "csrf_token": csrf_of(browser.get(where)),
        "url": "https://mine.example.com/",
        "events": ["release.halted"],
        "revision": "1",
    }
    admin.patch(f"/api/webhooks/{webhook_id}", {"url": "https://theirs.example.com/"})
    stale = browser.post(where, data=form)
    assert (
        stale.status_code,
        "https://mine.example.com/" in stale.text,
        "https://theirs.example.com/" in stale.text,
    ) == (409, True, True)
    revision = re.search(r'name="revision"[^>]*value="(\d+)"', stale.text)
    assert revision
    assert browser.post(where, data={**form, "revision": revision[1]}).status_code == 303
    assert admin.get("/api/webhooks").json["webhooks"][0]["url"] == "https://mine.example.com/"
    assert admin.get("/api/webhooks").json["webhooks"][0]["is_enabled"] is False  # The box was not ticked.


def test_a_secret_is_renewed_and_a_webhook_deleted_on_its_page(
    browser: FlaskClient, admin: Api, receiver: Receiver
) -> None:
    made = admin.post("/api/webhooks", {"url": receiver.url}).json
    where = f"{PAGE}/webhooks/{made['webhook']['id']}"
    form = {"csrf_token": csrf_of(browser.get(where))}
    renewed = browser.post(f"{where}/rotate", data=form)
    assert (
        "whsec_" in renewed.text,
        made["secret"] in renewed.text,
        "whsec_" in browser.get(where).text,
    ) == (True, False, False)
    assert browser.post(f"{where}/delete", data=form).status_code == 303
    assert browser.get(where).status_code == 404


def test_recipients_come_and_go_and_the_page_shows_when_no_mail_server_is_set(browser: FlaskClient) -> None:
    form = {
        "csrf_token": csrf_of(browser.get(PAGE)),
        "recipient-email": "team@example.com",
        "recipient-events": ["release.halted"],
    }
    assert browser.post(f"{PAGE}/recipients", data=form).status_code == 303
    shown = browser.get(PAGE).text
    assert ("team@example.com" in shown, "No mail server is set, so nothing is mailed" in shown) == (
        True,
        True,
    )
    twice = browser.post(f"{PAGE}/recipients", data={**form, "recipient-email": "TEAM@example.com"})
    assert (twice.status_code, "already" in twice.text) == (422, True)
    assert browser.post(f"{PAGE}/recipients/1/remove", data=form).status_code == 303
    assert f"{PAGE}/recipients/1/remove" not in browser.get(PAGE).text


def test_what_belongs_to_another_app_is_not_reached_through_this_one(
    browser: FlaskClient, admin: Api, receiver: Receiver
) -> None:
    token = csrf_of(browser.get(PAGE))
    browser.post("/apps", data={"csrf_token": token, "name": "Other", "slug": "other"})
    webhook_id = admin.post("/api/webhooks", {"url": receiver.url, "app": "other"}).json["webhook"]["id"]
    delivery_id = admin.post(f"/api/webhooks/{webhook_id}/test").json["delivery"]["id"]
    for path in (
        f"webhooks/{webhook_id}/delete",
        f"webhooks/{webhook_id}/rotate",
        f"deliveries/{delivery_id}/resend",
    ):
        assert browser.post(f"{PAGE}/{path}", data={"csrf_token": token}).status_code == 404, path


def test_recipients_come_and_go_by_program(app: Flask, api: Api) -> None:
    admin = Api(app, Role.ADMIN)
    for call in (api.get("/api/recipients"), api.post("/api/recipients", {"email": "team@example.com"})):
        assert call.status_code == 403
    made = admin.post("/api/recipients", {"email": "team@example.com", "events": ["release.halted"]})
    assert (made.status_code, made.json["recipient"]["events"]) == (201, ["release.halted"])
    assert "OTA_SMTP_URL" in made.json["message"]
    found = admin.get("/api/recipients").json
    assert ([each["email"] for each in found["recipients"]], found["has_mail"]) == (
        ["team@example.com"],
        False,
    )
    wrong = [
        ({"email": "TEAM@example.com"}, 409, "recipient_taken"),
        ({"email": "a b"}, 400, "bad_email"),
        ({"email": "a@b"}, 400, "bad_email"),
        ({"email": "a@example..com"}, 400, "bad_email"),
        ({}, 400, "missing_field"),
        ({"email": "b@example.com", "events": ["nothing"]}, 400, "bad_events"),
        ({"email": "b@example.com", "app": "no"}, 404, "unknown_app"),
    ]
    for body, status, code in wrong:
        answer = admin.post("/api/recipients", body)
        assert (answer.status_code, answer.json["code"]) == (status, code), body
    assert admin.delete("/api/recipients/1").status_code == 200
    assert admin.delete("/api/recipients/1").json["code"] == "unknown_recipient"
    assert admin.get("/api/recipients").json["recipients"] == []


def test_a_change_that_changes_nothing_is_no_change(admin: Api, receiver: Receiver) -> None:
    made = admin.post("/api/webhooks", {"url": receiver.url}).json["webhook"]
    same = {"url": receiver.url, "events": made["events"], "is_enabled": True}
    for body in ({}, same, {**same, "revision": 1}):
        assert admin.patch(f"/api/webhooks/{made['id']}", body).json["webhook"]["revision"] == 1
    assert admin.patch(f"/api/webhooks/{made['id']}", {"revision": 7}).status_code == 409


def test_what_was_mailed_is_listed_by_program_too(
    app: Flask, admin: Api, api: Api, receiver: Receiver
) -> None:
    admin.post("/api/webhooks", {"url": receiver.url})
    admin.post("/api/recipients", {"email": "team@example.com"})
    api.published(1)
    found = admin.get("/api/deliveries?app=my-app").json["deliveries"]
    assert {(each["event"], each["webhook_id"], each["recipient_id"]) for each in found} == {
        (event, *to) for event in ("upload.ready", "release.published") for to in ((1, None), (None, 1))
    }
    assert found[0]["payload"]["url"].startswith("https://updates.example.com/apps/my-app/releases/")
    assert [each["is_being_sent"] for each in found] == [False] * 4
    mailed = admin.get("/api/deliveries?recipient_id=1&limit=1").json["deliveries"]
    assert [(each["event"], each["recipient_id"]) for each in mailed] == [("release.published", 1)]
    assert api.get("/api/deliveries").status_code == 403


def test_deleting_asks_first_and_says_what_goes_along(
    browser: FlaskClient, admin: Api, receiver: Receiver
) -> None:
    webhook_id = admin.post("/api/webhooks", {"url": receiver.url}).json["webhook"]["id"]
    admin.post("/api/recipients", {"email": "team@example.com"})
    for _ in range(3):
        admin.post(f"/api/webhooks/{webhook_id}/test")
    asked = browser.get(f"{PAGE}/webhooks/{webhook_id}/delete")
    assert (asked.status_code, "Delete this webhook?" in asked.text, "3 deliveries" in asked.text) == (
        200,
        True,
        True,
    )
    assert "Remove team@example.com?" in browser.get(f"{PAGE}/recipients/1/remove").text
    assert "Make a new secret?" in browser.get(f"{PAGE}/webhooks/{webhook_id}/rotate").text
    assert len(admin.get("/api/webhooks").json["webhooks"]) == 1
    for page in (PAGE, f"{PAGE}/webhooks/{webhook_id}"):
        assert "data-confirm" not in browser.get(page).text


def test_the_page_shows_the_newest_and_leads_to_the_rest(
    browser: FlaskClient, admin: Api, receiver: Receiver
) -> None:
    webhook_id = admin.post("/api/webhooks", {"url": receiver.url}).json["webhook"]["id"]
    for _ in range(23):
        admin.post(f"/api/webhooks/{webhook_id}/test")
    shown = browser.get(PAGE).text
    assert (
        shown.count("on its way"),
        shown.index("New webhook") < shown.index("Last sent"),
        f"{PAGE}/sent" in shown,
    ) == (20, True, True)
    assert browser.get(f"{PAGE}/sent").text.count("on its way") == 20
    assert browser.get(f"{PAGE}/sent?start=20").text.count("on its way") == 3


def test_what_is_just_being_sent_is_called_so(
    app: Flask, browser: FlaskClient, admin: Api, receiver: Receiver
) -> None:
    webhook_id = admin.post("/api/webhooks", {"url": receiver.url}).json["webhook"]["id"]
    delivery_id = admin.post(f"/api/webhooks/{webhook_id}/test").json["delivery"]["id"]
    with app.app_context(), transaction() as session:
        assert tries.claim(session, delivery_id, now=utcnow())
    shown = browser.get(PAGE).text
    assert ("sending" in shown, "failed so far" in shown) == (True, False)
    assert admin.get("/api/deliveries").json["deliveries"][0]["is_being_sent"] is True


def test_an_id_stands_once_on_a_page(browser: FlaskClient, admin: Api, receiver: Receiver) -> None:
    for _ in range(2):
        admin.post("/api/webhooks", {"url": receiver.url})
    admin.post("/api/recipients", {"email": "team@example.com"})
    for page in (PAGE, f"{PAGE}/webhooks/1", f"{PAGE}/webhooks/1/delete"):
        ids = re.findall(r'\sid="([^"]+)"', browser.get(page).text)
        assert len(ids) == len(set(ids)), page
