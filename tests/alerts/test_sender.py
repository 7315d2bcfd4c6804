"""The sender: slow or dead receivers delay no others, and alerts arrive once and in order."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from ota.alerts import sender, tries
from ota.alerts.deliveries import OFF
from ota.alerts.transports import http
from ota.alerts.tries import DeliveryOutcome
from ota.config import Settings
from ota.core.alerts import MAX_TRIES
from ota.db import db, reader, transaction
from ota.models import Webhook
from tests.alerts.given import deliver_due, hook, sent, try_out, write_to
from tests.receivers import Receiver
from tests.releases.given import START, begin, make

pytestmark = pytest.mark.usefixtures("in_app")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a receiver that accepts connections and never answers. The time limit is 0.7 s."""
    monkeypatch.setitem(http.post.__kwdefaults__ or {}, "timeout", 0.7)
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def states() -> list[str]:
    return [each.state for each in sent()]


def test_a_receiver_that_never_answers_delays_nobody_else(
    silent: str, receiver: Receiver, inside: Settings
) -> None:
    try_out(hook(silent), 40)
    try_out(hook(receiver.url))
    began = time.monotonic()
    deliver_due(inside, clock=lambda: START)
    assert len(receiver.requests) == 1
    assert time.monotonic() - began < 10  # Forty time-outs of 0.7 s would take 28 s.


def test_where_nobody_answers_all_that_waits_counts_as_tried(silent: str, inside: Settings) -> None:
    try_out(hook(silent), 40)
    assert deliver_due(inside, clock=lambda: START) == 1
    assert {(each.state, each.attempts) for each in sent()} == {("pending", 1)}
    assert all("0.7 seconds" in (each.last_answer or "") for each in sent())
    assert len({each.next_try_at for each in sent()}) == 1  # They stay in their order.


def test_what_nobody_answers_is_given_up_without_a_time_out_for_each(silent: str, inside: Settings) -> None:
    try_out(hook(silent), 40)
    now, tried = START, 0
    for _ in range(MAX_TRIES):
        tried += deliver_due(inside, clock=lambda: now)  # noqa: B023
        now = max(each.next_try_at for each in sent())
    assert (tried, set(states())) == (MAX_TRIES, {"given_up"})


def test_something_new_is_tried_at_once_although_the_receiver_was_silent_before(
    silent: str, receiver: Receiver, inside: Settings
) -> None:
    webhook_id = hook(silent)
    try_out(webhook_id, 3)
    deliver_due(inside, clock=lambda: START)
    with transaction() as session:
        session.get_one(Webhook, webhook_id).url = receiver.url
    later = START + timedelta(seconds=5)
    try_out(webhook_id, at=later)
    assert deliver_due(inside, clock=lambda: later) == 1
    assert states() == ["pending"] * 3 + ["delivered"]


def test_a_failing_receiver_that_answers_is_tried_for_each(receiver: Receiver, inside: Settings) -> None:
    receiver.status = 500
    try_out(hook(receiver.url), 3)
    assert deliver_due(inside, clock=lambda: START) == 3


def test_a_dead_mail_server_delays_no_webhook_and_costs_one_try(receiver: Receiver, inside: Settings) -> None:
    for number in range(20):
        write_to(f"person{number}@example.com")
    hook(receiver.url)
    begin(make(3))
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        port = server.getsockname()[1]
    dead = msgspec.structs.replace(
        inside, smtp_url=f"smtp://127.0.0.1:{port}", mail_from="updates@example.com"
    )
    assert deliver_due(dead, clock=lambda: START) <= 1 + 2 * sender.AT_ONE_HOST
    assert states().count("delivered") == 1
    assert {each.attempts for each in sent()} == {1}


def test_one_receiver_gets_alerts_in_the_order_of_their_acts(
    app: Flask, receiver: Receiver, inside: Settings
) -> None:
    hook(receiver.url)
    receiver.write = lambda file: time.sleep(0.02)
    for code in range(1, 13):
        begin(make(code))
    start = threading.Barrier(3)

    def work() -> None:
        with app.app_context():
            start.wait()
            deliver_due(inside, clock=lambda: START)
            db.session.remove()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    deliver_due(inside, clock=lambda: START)
    codes = [msgspec.json.decode(request.body)["facts"]["version_code"] for request in receiver.requests]
    assert codes == list(range(1, 13))


def test_a_host_is_sent_few_things_at_once_whatever_the_number_of_webhooks(
    receiver: Receiver, inside: Settings
) -> None:
    together, lock, most = [0], threading.Lock(), []

    def slowly(file: Any) -> None:
        with lock:
            together[0] += 1
            most.append(together[0])
        time.sleep(0.1)
        with lock:
            together[0] -= 1

    receiver.write = slowly
    for number in range(8):
        try_out(hook(f"http://127.0.0.1:{receiver.port}/{number}"))
    assert deliver_due(inside, clock=lambda: START) == 8
    assert max(most) == sender.AT_ONE_HOST


def test_a_database_that_hiccups_makes_nothing_arrive_twice(
    receiver: Receiver, inside: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        try_out(hook(f"http://127.0.0.1:{receiver.port}/{number}"))
    real, failures = tries.settle, [2]

    def settle(*given: Any, **more: Any) -> None:
        real(*given, **more)
        if failures[0]:
            failures[0] -= 1
            raise OperationalError("UPDATE", {}, Exception("database is locked"))

    monkeypatch.setattr(tries, "settle", settle)
    assert deliver_due(inside, clock=lambda: START) == 8
    assert (len(receiver.requests), set(states())) == (8, {"delivered"})
    assert deliver_due(inside, clock=lambda: START + timedelta(hours=1)) == 0


def test_what_waits_for_a_webhook_that_is_off_is_given_up_and_not_sent(
    receiver: Receiver, inside: Settings
) -> None:
    webhook_id = hook(receiver.url)
    try_out(webhook_id)
    with transaction() as session:  # As if the act was committed just after the webhook was switched off.
        session.get_one(Webhook, webhook_id).is_enabled = False
    assert deliver_due(inside, clock=lambda: START) == 0
    assert (receiver.requests, states(), sent()[0].last_answer) == ([], ["given_up"], OFF)


def test_while_one_is_sent_the_next_for_the_same_receiver_waits(receiver: Receiver) -> None:
    webhook_id = hook(receiver.url)
    try_out(webhook_id, 2)
    first, second = (each.id for each in sent())
    with transaction() as session:
        parcel = tries.claim(session, first, now=START)
        assert tries.claim(session, second, now=START) is None
    assert parcel is not None
    assert tries.due(reader(), now=START) == []
    with transaction() as session:
        tries.settle(
            session, parcel, DeliveryOutcome(is_delivered=True, answer="thanks"), share=0.5, now=START
        )
    reader().rollback()
    assert [each.delivery_id for each in tries.due(reader(), now=START)] == [second]


def test_the_process_sends_within_a_second_shows_life_and_writes_down_what_is_on_its_way(
    app: Flask, receiver: Receiver, inside: Settings
) -> None:
    stop, signs = threading.Event(), []
    receiver.write = lambda file: time.sleep(0.5)

    def work() -> None:
        with app.app_context():
            sender.Sender(inside, clock=lambda: START, alive=lambda: signs.append(1)).run(stop)
            db.session.remove()

    thread = threading.Thread(target=work)
    thread.start()
    try_out(hook(receiver.url))
    until = time.monotonic() + 20
    while not receiver.requests and time.monotonic() < until:
        time.sleep(0.02)
    stop.set()  # While the receiver has not answered yet.
    thread.join()
    assert (states(), bool(signs)) == (["delivered"], True)


def test_the_process_goes_on_when_the_database_comes_back(
    app: Flask, receiver: Receiver, inside: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures, stop = tries.due, [1], threading.Event()
    monkeypatch.setattr(sender, "_AFTER_FAILURE", 0.01)

    def due(session: Any, *, now: datetime) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise OperationalError("SELECT", {}, Exception("the server closed the connection"))
        return real(session, now=now)

    monkeypatch.setattr(tries, "due", due)
    try_out(hook(receiver.url))
    timer = threading.Timer(1.5, stop.set)
    timer.start()
    sender.Sender(inside, clock=lambda: START).run(stop)
    timer.join()
    assert states() == ["delivered"]
