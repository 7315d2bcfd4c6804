"""People are told what happened: by signed webhooks and by e-mail, once, and after a failure again."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from ota import tasks
from ota.alerts import deliveries, expiring_profiles, receivers, sender
from ota.alerts.transports import connect, http, mail
from ota.apps import apps, kill_switch
from ota.clock import utcnow
from ota.config import Settings
from ota.core.addresses import is_public
from ota.core.alerts import CHOSEN, MAX_TRIES, OF_ACTION, DeliveryState, wait_after
from ota.core.lifecycle import ReleaseState
from ota.core.permissions import Role
from ota.core.plans import PlanStep
from ota.db import db, reader, transaction
from ota.errors import Conflict, Invalid
from ota.history import audit
from ota.history.audit import SYSTEM
from ota.models import Delivery, Release, Version, Webhook
from ota.releases import acts as release_acts
from ota.releases import plans
from tests.alerts.given import hook, move, sent, write_to
from tests.builders.packages import apk, ipa
from tests.builders.profiles import profile
from tests.conftest import EMAILS, Api
from tests.receivers import Receiver, byte_by_byte, endless, receive_mail, receive_webhooks
from tests.releases.given import START, begin, hours, make


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = receive_webhooks()
    yield found
    found.close()


@pytest.fixture
def postbox() -> Iterator[Receiver]:
    found = receive_mail()
    yield found
    found.close()


@pytest.fixture
def inside(settings: Settings) -> Settings:
    """Settings of an installation that sends into its own network."""
    return msgspec.structs.replace(settings, webhook_private=True)


@pytest.fixture(autouse=True)
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


def kinds() -> list[str]:
    return [each.event for each in sent()]


def test_a_webhook_gets_the_event_with_a_signature_that_holds(receiver: Receiver, inside: Settings) -> None:
    webhook_id = hook(receiver.url)
    begin(make(3, "1.3.0"))
    assert sender.deliver_due(inside, clock=lambda: START) == 1
    request = receiver.requests[0]
    headers, secret = request.headers, reader().get_one(Webhook, webhook_id).secret
    signed = headers["X-OTA-Timestamp"].encode() + b"." + request.body
    assert (
        headers["X-OTA-Signature"]
        == "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    )
    assert headers["X-OTA-Timestamp"] == str(int(START.timestamp()))
    told = json.loads(request.body)
    assert (request.path, headers["X-OTA-Event"], told["event"]) == (
        "/hook?team=1",
        "release.published",
        "release.published",
    )
    assert told["message"] == "My app: server published 1.3.0 (+3) on stable to everybody."
    assert (told["facts"]["version_code"], told["facts"]["channel"], told["app"]["slug"]) == (
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
    assert headers["X-OTA-Delivery"] == told["delivery"] == delivery.key
    assert sender.deliver_due(inside, clock=lambda: START + hours(100)) == 0


def test_an_act_that_is_rolled_back_tells_nobody(receiver: Receiver) -> None:
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
        assert sender.deliver_due(inside, clock=lambda: now) == 1  # noqa: B023
        delivery = sent()[0]
        assert (delivery.attempts, delivery.last_status, len(receiver.requests)) == (attempt, 503, attempt)
        if attempt < MAX_TRIES:
            waits.append(delivery.next_try_at - now)
            assert sender.deliver_due(inside, clock=lambda: delivery.next_try_at - timedelta(seconds=1)) == 0  # noqa: B023
            now = delivery.next_try_at
    assert sent()[0].state == DeliveryState.GIVEN_UP
    assert all(later > 2 * before for before, later in pairwise(waits))
    assert timedelta(hours=16) < sum(waits, timedelta()) < timedelta(hours=27)
    assert sender.deliver_due(inside, clock=lambda: now + timedelta(days=9)) == 0
    assert len({request.headers["X-OTA-Delivery"] for request in receiver.requests}) == 1


def test_what_was_given_up_can_be_sent_again(receiver: Receiver, inside: Settings) -> None:
    hook(receiver.url)
    begin(make(3))
    with transaction() as session:
        row = session.scalars(select(Delivery)).one()
        row.attempts = MAX_TRIES - 1
    receiver.status = 500
    sender.deliver_due(inside, clock=lambda: START)
    assert sent()[0].state == DeliveryState.GIVEN_UP
    receiver.status = 204
    with transaction() as session:
        deliveries.resend(session, session.scalars(select(Delivery)).one(), now=START)
    assert sender.deliver_due(inside, clock=lambda: START) == 1
    assert (sent()[0].state, sent()[0].attempts, sent()[0].last_status) == (DeliveryState.DELIVERED, 1, 204)


def test_what_is_on_its_way_is_not_sent_again(receiver: Receiver) -> None:
    hook(receiver.url)
    begin(make(3))
    with pytest.raises(Conflict, match="still on its way"), transaction() as session:
        deliveries.resend(session, session.scalars(select(Delivery)).one(), now=START)


def test_several_workers_send_each_delivery_once(app: Flask, receiver: Receiver, inside: Settings) -> None:
    hook(receiver.url)
    for code in range(1, 13):
        begin(make(code))
    start = threading.Barrier(4)

    def work() -> None:
        with app.app_context():
            start.wait()
            sender.deliver_due(inside, clock=lambda: START)
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
        first = deliveries.claim(session, sent_id(), now=START)
    assert first is not None
    assert sender.deliver_due(inside, clock=lambda: START + timedelta(minutes=1)) == 0
    later = START + deliveries.HOLD
    assert sender.deliver_due(inside, clock=lambda: later) == 1
    with transaction() as session:  # The one that was believed dead comes back: its word no longer counts.
        deliveries.settle(
            session, first, deliveries.Outcome(is_delivered=False, said="late"), share=0.5, now=later
        )
    assert (sent()[0].state, sent()[0].attempts, sent()[0].last_answer) == ("delivered", 2, "thanks")


def sent_id() -> int:
    return reader().scalars(select(Delivery.id)).one()


def test_addresses_of_the_own_network_are_refused_by_name(receiver: Receiver) -> None:
    app = apps.find(reader(), None)
    for host in (
        "localhost",
        "a.localhost.",
        "127.0.0.1",
        "10.0.0.8",
        "192.168.1.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[fe80::1]",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "017700000001",
        "10.0x8",
        "[fec0::1]",
        "[3fff::1]",
        "[2002:7f00:1::]",
        "0",
        "LOCALHOST",
    ):
        with pytest.raises(Invalid, match="own network"), transaction() as session:
            receivers.add_webhook(
                session, SYSTEM, app, url=f"http://{host}/hook", allows_private=False, now=START
            )


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a00:1",
        "2001:db8::1",
        "fec0::1",
        "3fff::1",
        "64:ff9b:1::a00:1",
    ],
)
def test_a_name_that_leads_into_the_own_network_gets_nothing(
    address: str, receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(f"http://hooks.example.com:{receiver.port}/")
    begin(make(3))

    def answer(host: str, port: int, **_: Any) -> list[Any]:
        good = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))
        return [
            good,
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            ),
        ]

    monkeypatch.setattr(connect.socket, "getaddrinfo", answer)
    with pytest.raises(http.NotSent, match="not a public address"):
        http.resolve("hooks.example.com", 80, allows_private=False)
    if address == "127.0.0.1":
        sender.deliver_due(settings, clock=lambda: START)
        assert "not a public address" in (sent()[0].last_answer or "")
        assert (sent()[0].state, receiver.requests) == ("pending", [])


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "64:ff9b::5db8:d822"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_the_connection_goes_to_the_address_that_was_looked_at(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    real = socket.getaddrinfo

    def answer(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1" if host == "hooks.example.com" else host, port, *rest, **more)

    monkeypatch.setattr(connect.socket, "getaddrinfo", answer)
    found = http.post(f"http://hooks.example.com:{receiver.port}/x", b"{}", {}, allows_private=True)
    assert (found.status, receiver.requests[0].headers["Host"]) == (200, f"hooks.example.com:{receiver.port}")
    assert asked.count("hooks.example.com") == 1
    assert set(asked) == {"hooks.example.com", "127.0.0.1"}  # What is connected to is an address and no name.


def test_a_redirect_is_not_followed(receiver: Receiver, inside: Settings) -> None:
    receiver.status, receiver.headers = 302, {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    hook(receiver.url)
    begin(make(3))
    sender.deliver_due(inside, clock=lambda: START)
    assert [request.path for request in receiver.requests] == ["/hook?team=1"]
    assert (sent()[0].state, sent()[0].last_status) == ("pending", 302)
    assert "redirect" in (sent()[0].last_answer or "")


def test_of_a_huge_answer_only_the_beginning_is_read(receiver: Receiver, inside: Settings) -> None:
    receiver.write = endless
    hook(receiver.url)
    begin(make(3))
    sender.deliver_due(inside, clock=lambda: START)
    assert (sent()[0].state, sent()[0].last_answer) == ("delivered", "x" * deliveries.MAX_ANSWER)


def test_an_answer_that_comes_byte_by_byte_is_cut_off(receiver: Receiver) -> None:
    receiver.write = byte_by_byte
    began = time.monotonic()
    found = http.post(receiver.url, b"{}", {}, allows_private=True, timeout=0.5)
    assert (found.status, time.monotonic() - began < 30) == (200, True)


def test_headers_that_come_byte_by_byte_are_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def drip() -> None:
            connect, _ = server.accept()
            with connect:
                while not stop.wait(0.05):
                    try:
                        connect.send(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(http.NotSent, match=r"within 0\.5 seconds"):
            http.post(
                f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {}, allows_private=True, timeout=0.5
            )
        stop.set()
        thread.join()


def test_nobody_there_and_nobody_of_that_name_are_said(receiver: Receiver) -> None:
    receiver.close()
    with pytest.raises(http.NotSent, match="could not be reached"):
        http.post(receiver.url, b"{}", {}, allows_private=True)
    with pytest.raises(http.NotSent, match="is not known"):
        http.post("http://nothing.invalid/", b"{}", {}, allows_private=True)


def test_only_what_was_chosen_is_sent(receiver: Receiver) -> None:
    hook(receiver.url, ["release.halted"])
    release_id = begin(make(3))
    move(release_id, ReleaseState.HALTED, "Crashes.")
    assert kinds() == ["release.halted"]
    assert sent()[0].payload["message"] == "My app: server halted 1.3.0 (+3) on stable. Crashes."


def test_halts_roll_backs_and_plan_steps_are_told(receiver: Receiver) -> None:
    hook(receiver.url)
    release_id = begin(make(3), plan=(PlanStep(1000, 60), PlanStep(10000)))
    with transaction() as session:
        plans.advance(session, SYSTEM, look_in(session, release_id), now=START)
    move(release_id, ReleaseState.HALTED)
    move(release_id, ReleaseState.ROLLED_BACK, "It eats batteries.")
    assert kinds() == ["release.published", "release.plan_step", "release.halted", "release.rolled_back"]
    assert [each.payload["message"] for each in sent()][1:4:2] == [
        "My app: the plan of 1.3.0 (+3) on stable took its next step and is open to 100 % of the devices.",
        "My app: server rolled back 1.3.0 (+3) on stable. It eats batteries.",
    ]


def look_in(session: Any, release_id: int) -> Release:
    found: Release = session.get_one(Release, release_id)
    return found


def test_uploads_that_are_ready_or_rejected_are_told(api: Api, receiver: Receiver) -> None:
    hook(receiver.url)
    api.upload(apk(version="1.0.0", code=1), "good.apk")
    api.upload(apk(package="com.example.other", version="1.0.0", code=2), "other.apk", app="my-app")
    ready, rejected = sent()
    assert (ready.event, ready.payload["facts"]["version_code"]) == ("upload.ready", 1)
    assert ready.payload["message"] == "My app: good.apk is ready. It became version 1.0.0 (+1)."
    assert (rejected.event, rejected.payload["facts"]["reason_code"]) == ("upload.rejected", "other_package")
    assert rejected.payload["message"].startswith("My app: the upload other.apk was rejected. ")


def test_uploads_that_name_no_app_are_told_to_the_app_they_belong_to(api: Api, receiver: Receiver) -> None:
    with transaction() as session:
        apps.create(session, SYSTEM, slug="other", name="Other", now=START)
    api.upload(apk(package="com.example.other", version="1.0.0", code=1), "first.apk", app="other")
    with transaction() as session:
        other = apps.find(session, "other")
        receivers.add_webhook(
            session,
            SYSTEM,
            other,
            url=receiver.url,
            events=["upload.rejected"],
            allows_private=True,
            now=START,
        )
    hook(receiver.url, ["upload.rejected"])
    api.upload(apk(package="com.example.other", version="1.0.1", code=1), "taken.apk")
    api.upload(b"not a build", "junk.apk")
    api.upload(apk(version="1.0.0", code=1, package="com.example.app"), "mine.apk")
    api.upload(apk(version="1.0.0", code=1, package="com.example.stranger"), "stranger.apk")
    told = [
        (
            each.payload["app"]["slug"],
            each.payload["facts"]["file_name"],
            each.payload["facts"]["reason_code"],
        )
        for each in sent()
    ]
    assert told == [
        ("other", "taken.apk", "version_code_taken"),
        ("my-app", "junk.apk", "not_a_package"),
        ("my-app", "stranger.apk", "unknown_package"),
    ]


def test_a_profile_about_to_expire_is_told_once_for_each_threshold(api: Api, receiver: Receiver) -> None:
    hook(receiver.url)
    ends = datetime(2040, 3, 1, tzinfo=UTC)
    made = api.upload(ipa(profile=profile(expires_at=ends)), "app.ipa")
    api.post(f"/api/versions/{made['version']['id']}/activate")
    found = []
    for days in (20, 14, 10, 3, 1, -1):
        for app_id in expiring_profiles.candidates(reader()):
            with transaction() as session:
                found.append((days, expiring_profiles.warn(session, app_id, now=ends - timedelta(days=days))))
    assert found == [(20, 0), (14, 1), (10, 0), (3, 1), (1, 0), (-1, 0)]
    told = [each.payload for each in sent() if each.event == "profile.expiring"]
    assert [each["facts"]["within_days"] for each in told] == [14, 3]
    assert told[0]["message"].startswith(
        "My app: the provisioning profile of 1.0.0 (+1) expires on 2040-03-01."
    )
    tasks.warn_expiring.run()  # Today, its end is far.
    assert kinds().count("profile.expiring") == 2


def test_versions_with_one_profile_are_told_together_and_only_those_still_offered(
    api: Api, receiver: Receiver
) -> None:
    hook(receiver.url, ["profile.expiring"])
    ends = datetime(2040, 3, 1, tzinfo=UTC)
    ids = []
    for code in range(1, 5):
        made = api.upload(
            ipa(profile=profile(expires_at=ends), version=f"1.0.{code}", build=str(code)), "app.ipa"
        )["version"]["id"]
        ids.append(made)
        rollout = 10000 if code < 4 else 1000
        assert api.post(f"/api/versions/{made}/releases", {"rollout": rollout}).status_code == 201
    with transaction() as session:
        assert [
            expiring_profiles.warn(session, app_id, now=ends - timedelta(days=9))
            for app_id in expiring_profiles.candidates(session)
        ] == [1]
    [told] = [each.payload for each in sent()]
    assert told["facts"]["versions"] == [
        "1.0.3 (+3)",
        "1.0.4 (+4)",
    ]  # Nobody is offered 1.0.1 and 1.0.2 any more.
    assert told["message"].startswith(
        "My app: the provisioning profile of 1.0.3 (+3) and 1.0.4 (+4) expires on 2040-03-01."
    )
    assert told["path"] == f"/apps/my-app/versions/{ids[3]}"


def test_pausing_resuming_withdrawing_and_the_kill_switch_are_told(receiver: Receiver) -> None:
    hook(receiver.url)
    release_id = begin(make(3))
    for state in (ReleaseState.PAUSED, ReleaseState.ACTIVE, ReleaseState.WITHDRAWN):
        move(release_id, state)
    with transaction() as session:
        app = apps.find(session, None)
        for what in (app, apps.find_channel(app, None)):
            kill_switch.shut_off(session, SYSTEM, what, now=START)
            kill_switch.turn_on(session, SYSTEM, what, now=START)
    assert [(each.event, each.payload["message"]) for each in sent()[1:]] == [
        ("release.paused", "My app: server paused 1.3.0 (+3) on stable."),
        ("release.resumed", "My app: server resumed 1.3.0 (+3) on stable."),
        ("release.withdrawn", "My app: server withdrew 1.3.0 (+3) from stable."),
        (
            "app.shut_off",
            "My app: server shut the app off. Its devices are offered nothing until it is turned on again.",
        ),
        ("app.turned_on", "My app: server turned the app on again."),
        (
            "app.shut_off",
            "My app: server shut the channel stable off. Its devices are offered nothing until it is turned on again.",
        ),
        ("app.turned_on", "My app: server turned the channel stable on again."),
    ]
    assert [each.payload["facts"].get("channel") for each in sent()[4:]] == [None, None, "stable", "stable"]


def test_every_alert_leads_to_a_page_that_is_there(
    api: Api, receiver: Receiver, inside: Settings, sign_in: Callable[..., FlaskClient]
) -> None:
    webhook_id = hook(receiver.url)
    made = api.published(1)
    api.upload(b"junk", "junk.apk")
    with transaction() as session:
        receivers.test_webhook(session, SYSTEM, session.get_one(Webhook, webhook_id), now=START)
        kill_switch.shut_off(session, SYSTEM, apps.find(session, None), now=START)
    sender.deliver_due(inside, clock=lambda: utcnow() + timedelta(seconds=1))
    told = {each["event"]: each for each in (json.loads(request.body) for request in receiver.requests)}
    assert (
        told["release.published"]["url"]
        == f"https://updates.example.com/apps/my-app/releases/{made['release']['id']}"
    )
    assert (
        told["upload.ready"]["url"]
        == f"https://updates.example.com/apps/my-app/versions/{made['version']['id']}"
    )
    assert set(told) == {"upload.ready", "release.published", "upload.rejected", "test", "app.shut_off"}
    browser = sign_in(EMAILS[Role.ADMIN])
    for each in told.values():
        assert "path" not in each
        assert browser.get(each["url"].removeprefix("https://updates.example.com")).status_code == 200, each[
            "event"
        ]


def test_every_kind_that_can_be_chosen_belongs_to_an_act() -> None:
    assert set(OF_ACTION.values()) == set(CHOSEN)


def test_a_recipient_gets_a_plain_mail_with_the_same_sentence(postbox: Receiver, settings: Settings) -> None:
    with transaction() as session:
        app = apps.find(session, None)
        apps.rename(session, SYSTEM, app, name="Tea: Bcc, x@example.com", revision=app.revision, now=START)
    write_to("team@example.com")
    begin(make(3, "1.3.0"))
    smtp = msgspec.structs.replace(
        settings, smtp_url=f"smtp://127.0.0.1:{postbox.port}", mail_from="updates@example.com"
    )
    assert sender.deliver_due(smtp, clock=lambda: START) == 1
    letter = postbox.mails[0]
    sentence = "Tea: Bcc, x@example.com: server published 1.3.0 (+3) on stable to everybody."
    assert (letter["To"], letter["From"], letter["Subject"].strip()) == (
        "team@example.com",
        "updates@example.com",
        sentence,
    )
    assert (letter["Bcc"], letter.get_content_type()) == (None, "text/plain")
    assert (
        letter.get_content()
        .replace("\r\n", "\n")
        .startswith(f"{sentence}\n\nhttps://updates.example.com/apps/my-app/releases/")
    )
    assert (sent()[0].state, sent()[0].payload["message"]) == ("delivered", sentence)
    assert [line for line in postbox.envelopes if line.startswith("rcpt")] == ["rcpt TO:<team@example.com>"]


def test_a_line_break_never_becomes_a_header() -> None:
    letter = mail.Mail(
        "a@example.com", "b@example.com", "One\r\nBcc: c@example.com\x85X: y", "text", "k", START
    )
    composed = mail.compose(letter)
    assert composed["Subject"] == "One Bcc: c@example.com X: y"
    assert set(composed.keys()).isdisjoint({"Bcc", "X"})
    long = mail.compose(replace(letter, subject="word " * 60))["Subject"]
    assert (long.endswith("word ..."), len(long) <= mail.MAX_SUBJECT) == (True, True)
    with pytest.raises(mail.NotMailed, match="did not take"):
        mail.send("smtp://127.0.0.1:1", replace(letter, recipient="b@example.com\r\nBcc: c@example.com"))
    for email in (
        "b@example.com\nBcc: c@example.com",
        "b@example.com, c@example.com",
        "b <b@example.com>",
        "b",
        "@example.com",
    ):
        with pytest.raises(Invalid, match="e-mail address"):
            write_to(email)


def test_a_password_is_not_sent_without_encryption(postbox: Receiver) -> None:
    letter = mail.Mail("a@example.com", "b@example.com", "Hello", "text", "k", START)
    with pytest.raises(mail.NotMailed, match="no encryption"):
        mail.send(f"smtp://user:password@127.0.0.1:{postbox.port}", letter)
    assert not any("AUTH" in line.upper() for line in postbox.envelopes)


def test_without_a_mail_server_that_is_what_the_delivery_says(settings: Settings) -> None:
    write_to("team@example.com")
    begin(make(3))
    sender.deliver_due(settings, clock=lambda: START)
    assert (sent()[0].state, sent()[0].last_answer) == (
        "pending",
        "No mail server is set. Set OTA_SMTP_URL and OTA_MAIL_FROM.",
    )


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
    with pytest.raises(Conflict, match="switched off"), transaction() as session:
        deliveries.resend(session, session.scalars(select(Delivery)).one(), now=START)
    assert sender.deliver_due(inside, clock=lambda: START) == 0


def test_a_webhook_that_is_deleted_takes_what_waits_along(receiver: Receiver, inside: Settings) -> None:
    webhook_id, recipient_id = hook(receiver.url), write_to("team@example.com")
    begin(make(3))
    with transaction() as session:
        receivers.delete_webhook(session, SYSTEM, session.get_one(Webhook, webhook_id), now=START)
        recipient = receivers.get_recipient(session, recipient_id, app=apps.find(session, None))
        receivers.remove_recipient(session, SYSTEM, recipient, now=START)
    assert (sent(), sender.deliver_due(inside, clock=lambda: START)) == ([], 0)


def test_the_history_never_shows_a_secret(receiver: Receiver) -> None:
    webhook_id = hook(receiver.url)
    before = reader().get_one(Webhook, webhook_id).secret
    with transaction() as session:
        webhook = session.get_one(Webhook, webhook_id)
        receivers.edit_webhook(session, SYSTEM, webhook, rotates_secret=True, allows_private=True, now=START)
    after = reader().get_one(Webhook, webhook_id).secret
    events = audit.history(reader(), subjects=[("webhook", webhook_id)])
    assert [event.action for event in events] == ["webhook.edited", "webhook.created"]
    assert before != after
    assert not any(
        word in str((event.before, event.after)) for event in events for word in (before, after, "team=1")
    )


def test_the_history_tells_of_addresses_only_what_is_no_secret() -> None:
    webhook_id, recipient_id = (
        hook("https://hooks.slack.com:8443/services/T0001/SECRET?token=SECRET"),
        write_to("anna.person@example.com"),
    )
    with transaction() as session:
        webhook = session.get_one(Webhook, webhook_id)
        receivers.edit_webhook(
            session,
            SYSTEM,
            webhook,
            url="https://hooks.slack.com/OTHERSECRET",
            allows_private=True,
            now=START,
        )
    with transaction() as session:
        receivers.delete_webhook(session, SYSTEM, session.get_one(Webhook, webhook_id), now=START)
        receivers.remove_recipient(session, SYSTEM, receivers.get_recipient(session, recipient_id), now=START)
    events = audit.history(reader(), subjects=[("webhook", webhook_id), ("recipient", recipient_id)])
    text = str([(event.before, event.after) for event in events])
    assert (len(events), "SECRET" in text, "anna.person" in text) == (5, False, False)
    assert ("https://hooks.slack.com:8443" in text, "'domain': 'example.com'" in text) == (True, True)


def test_old_deliveries_are_forgotten_but_not_those_that_wait(receiver: Receiver, inside: Settings) -> None:
    hook(receiver.url)
    release_id = begin(make(3))
    sender.deliver_due(inside, clock=lambda: START)
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
