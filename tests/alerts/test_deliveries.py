"""Deliveries: signed, sent once, tried again after a failure, given up, sent again, deleted."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from datetime import timedelta
from itertools import pairwise

import pytest
from flask import Flask
from sqlalchemy import select

from ota.alerts import deliveries, receivers, tries
from ota.alerts.tries import DeliveryOutcome
from ota.apps import apps
from ota.config import Settings
from ota.core.alerts import MAX_TRIES, DeliveryState, wait_after
from ota.core.lifecycle import ReleaseState
from ota.db import db, reader, transaction
from ota.errors import Conflict
from ota.history.audit import SYSTEM
from ota.models import Delivery, Version, Webhook
from ota.releases import acts as release_acts
from tests.alerts.given import deliver_due, hook, kinds, move, sent, write_to
from tests.receivers import Receiver
from tests.releases.given import START, begin, hours, make

pytestmark = pytest.mark.usefixtures("in_app")


def test_a_webhook_gets_the_event_with_a_signature_that_holds(receiver: Receiver, inside: Settings) -> None:
    webhook_id = hook(receiver.url)
    begin(make(3, "1.3.0"))
    assert deliver_due(inside, clock=lambda: START) == 1
    request = receiver.requests[0]
    headers, secret = request.headers, reader().get_one(Webhook, webhook_id).secret
    signed = headers["X-OTA-Timestamp"].encode() + b"." + request.body
    assert (
        headers["X-OTA-Signature"]
        == "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    )
    assert headers["X-OTA-Timestamp"] == str(int(START.timestamp()))
    alert = json.loads(request.body)
    assert (request.path, headers["X-OTA-Event"], alert["event"]) == (
        "/hook?team=1",
        "release.published",
        "release.published",
    )
    assert "published 1.3.0 (+3) on stable" in alert["message"]
    assert (alert["facts"]["version_code"], alert["facts"]["channel"], alert["app"]["slug"]) == (
        3,
        "stable",
        "my-app",
    )
    delivery = sent()[0]
    assert (delivery.state, delivery.attempts, delivery.last_status, delivery.last_answer) == (
        "delivered",
        1,
        200,
        "thanks",
    )
    assert headers["X-OTA-Delivery"] == alert["delivery"] == delivery.key
    assert deliver_due(inside, clock=lambda: START + hours(100)) == 0


def test_an_act_that_is_rolled_back_leaves_no_delivery(receiver: Receiver) -> None:
    hook(receiver.url)
    version_id = make(3)

    def start_and_fail() -> None:
        with transaction() as session:
            release_acts.start(session, SYSTEM, session.get_one(Version, version_id), now=START)
            assert session.scalar(select(Delivery)) is not None
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        start_and_fail()
    assert sent() == []


def test_a_receiver_that_fails_is_tried_again_ever_later_and_at_last_given_up(
    receiver: Receiver, inside: Settings
) -> None:
    hook(receiver.url)
    begin(make(3))
    receiver.status, now, waits = 503, START, []
    for attempt in range(1, MAX_TRIES + 1):
        assert deliver_due(inside, clock=lambda: now) == 1  # noqa: B023
        delivery = sent()[0]
        assert (delivery.attempts, delivery.last_status, len(receiver.requests)) == (attempt, 503, attempt)
        if attempt < MAX_TRIES:
            waits.append(delivery.next_try_at - now)
            assert deliver_due(inside, clock=lambda: delivery.next_try_at - timedelta(seconds=1)) == 0  # noqa: B023
            now = delivery.next_try_at
    assert sent()[0].state == DeliveryState.GIVEN_UP
    assert all(later > 2 * before for before, later in pairwise(waits))
    assert timedelta(hours=16) < sum(waits, timedelta()) < timedelta(hours=27)
    assert deliver_due(inside, clock=lambda: now + timedelta(days=9)) == 0
    assert len({request.headers["X-OTA-Delivery"] for request in receiver.requests}) == 1


def test_what_was_given_up_can_be_sent_again(receiver: Receiver, inside: Settings) -> None:
    hook(receiver.url)
    begin(make(3))
    with transaction() as session:
        row = session.scalars(select(Delivery)).one()
        row.attempts = MAX_TRIES - 1
    receiver.status = 500
    deliver_due(inside, clock=lambda: START)
    assert sent()[0].state == DeliveryState.GIVEN_UP
    receiver.status = 204
    with transaction() as session:
        deliveries.resend(session, session.scalars(select(Delivery)).one(), now=START)
    assert deliver_due(inside, clock=lambda: START) == 1
    assert (sent()[0].state, sent()[0].attempts, sent()[0].last_status) == (DeliveryState.DELIVERED, 1, 204)


def test_what_is_on_its_way_is_not_sent_again(receiver: Receiver) -> None:
    hook(receiver.url)
    begin(make(3))
    with pytest.raises(Conflict) as caught, transaction() as session:
        deliveries.resend(session, session.scalars(select(Delivery)).one(), now=START)
    assert caught.value.code == "not_finished"


def test_several_workers_send_each_delivery_once(app: Flask, receiver: Receiver, inside: Settings) -> None:
    hook(receiver.url)
    for code in range(1, 13):
        begin(make(code))
    start = threading.Barrier(4)

    def work() -> None:
        with app.app_context():
            start.wait()
            deliver_due(inside, clock=lambda: START)
            db.session.remove()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    keys = [request.headers["X-OTA-Delivery"] for request in receiver.requests]
    assert (len(keys), len(set(keys))) == (12, 12)
    assert {(each.state, each.attempts) for each in sent()} == {("delivered", 1)}


def test_a_worker_that_died_leaves_a_delivery_that_is_tried_again_later(
    receiver: Receiver, inside: Settings
) -> None:
    hook(receiver.url)
    begin(make(3))
    with transaction() as session:
        first = tries.claim(session, sent_id(), now=START)
    assert first is not None
    assert deliver_due(inside, clock=lambda: START + timedelta(minutes=1)) == 0
    later = START + tries.HOLD
    assert deliver_due(inside, clock=lambda: later) == 1
    with transaction() as session:  # The process was only slow. Its result no longer counts.
        tries.settle(session, first, DeliveryOutcome(is_delivered=False, answer="late"), share=0.5, now=later)
    assert (sent()[0].state, sent()[0].attempts, sent()[0].last_answer) == ("delivered", 2, "thanks")


def sent_id() -> int:
    return reader().scalars(select(Delivery.id)).one()


def test_switching_a_webhook_off_gives_up_what_waits(receiver: Receiver, inside: Settings) -> None:
    webhook_id = hook(receiver.url)
    release_id = begin(make(3))
    with transaction() as session:
        receivers.edit_webhook(
            session,
            SYSTEM,
            session.get_one(Webhook, webhook_id),
            is_enabled=False,
            allows_private=True,
            now=START,
        )
    move(release_id, ReleaseState.HALTED)
    assert [each.state for each in sent()] == ["given_up"]
    with pytest.raises(Conflict) as caught, transaction() as session:
        deliveries.resend(session, session.scalars(select(Delivery)).one(), now=START)
    assert caught.value.code == "webhook_off"
    assert deliver_due(inside, clock=lambda: START) == 0


def test_a_webhook_that_is_deleted_takes_what_waits_along(receiver: Receiver, inside: Settings) -> None:
    webhook_id, recipient_id = hook(receiver.url), write_to("team@example.com")
    begin(make(3))
    with transaction() as session:
        receivers.delete_webhook(session, SYSTEM, session.get_one(Webhook, webhook_id), now=START)
        recipient = receivers.get_recipient(session, recipient_id, app=apps.find(session, None))
        receivers.remove_recipient(session, SYSTEM, recipient, now=START)
    assert (sent(), deliver_due(inside, clock=lambda: START)) == ([], 0)


def test_old_deliveries_are_forgotten_but_not_those_that_wait(receiver: Receiver, inside: Settings) -> None:
    hook(receiver.url)
    release_id = begin(make(3))
    deliver_due(inside, clock=lambda: START)
    move(release_id, ReleaseState.HALTED)
    with transaction() as session:
        deliveries.forget_old(session, now=START + deliveries.KEPT_FOR + timedelta(seconds=1))
    assert kinds() == ["release.halted"]


def test_the_waits_grow_and_are_spread() -> None:
    assert [
        round(wait.total_seconds()) for tries in range(1, MAX_TRIES) if (wait := wait_after(tries, 0.5))
    ] == [
        30,
        105,
        368,
        1286,
        4502,
        15757,
        55148,
    ]
    assert wait_after(1, 0.0) == timedelta(seconds=24)
    assert wait_after(MAX_TRIES, 0.5) is None
