"""Alerts by e-mail, also through mail servers that are slow or answer oddly: sent once, in limited time."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from flask import Flask

from ota.alerts.transports import connect, http, mail
from ota.apps import apps
from ota.config import Settings
from ota.db import transaction
from ota.errors import Invalid
from ota.history.audit import SYSTEM
from tests.alerts.given import deliver_due, sent, write_to
from tests.receivers import Receiver, receive_webhooks
from tests.releases.given import START, begin, make

LETTER = mail.Mail("a@example.com", "b@example.com", "Hello", "text", "k", datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
def mailing(settings: Settings, postbox: Receiver) -> Settings:
    return msgspec.structs.replace(
        settings, smtp_url=f"smtp://127.0.0.1:{postbox.port}", mail_from="updates@example.com"
    )


def send(postbox: Receiver, limit: float = mail.LIMIT) -> str:
    return mail.send(f"smtp://127.0.0.1:{postbox.port}", LETTER, limit=limit)


@pytest.mark.parametrize("goodbye", ["250 fine", "421 bye", "500 what?", ""])
def test_a_mail_that_was_taken_has_arrived_however_the_server_says_goodbye(
    goodbye: str, postbox: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "_GOODBYE", 0.2)
    postbox.replies[b"QUIT"] = goodbye
    assert "127.0.0.1" in send(postbox)
    assert len(postbox.mails) == 1


def test_a_server_that_dribbles_is_left_in_time() -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def dribble() -> None:
            connection, _ = server.accept()
            with connection:
                while not stop.wait(0.05):
                    try:
                        connection.send(b"220-x\r\n")
                    except OSError:
                        return

        thread = threading.Thread(target=dribble, daemon=True)
        thread.start()
        began = time.monotonic()
        with pytest.raises(mail.NotMailed, match=r"0\.5 seconds") as caught:
            mail.send(f"smtp://127.0.0.1:{server.getsockname()[1]}", LETTER, limit=0.5)
        stop.set()
        thread.join()
    assert (caught.value.is_down, time.monotonic() - began < 5) == (True, True)


@pytest.mark.parametrize(
    ("verb", "reply", "is_down", "is_final"),
    [
        (b"RCPT", "550 5.1.1 no such user", False, True),
        (b"RCPT", "451 4.7.1 come again later", False, False),
        (b"MAIL", "530 5.7.0 log in first", True, False),
        (b"DATA", "554 5.7.1 looks like spam", False, False),
    ],
)
def test_the_reason_is_the_servers_own(
    verb: bytes, reply: str, is_down: bool, is_final: bool, postbox: Receiver
) -> None:
    postbox.replies.update({verb: reply, b"QUIT": ""})
    with pytest.raises(mail.NotMailed) as caught:
        send(postbox)
    assert str(caught.value).startswith(f"127.0.0.1:{postbox.port} ")
    assert str(caught.value).endswith(f": {reply}")
    assert ("b@example.com" in str(caught.value)) == (verb == b"RCPT")
    assert (caught.value.is_down, caught.value.is_final) == (is_down, is_final)


def test_a_recipient_that_does_not_exist_is_given_up_at_once(
    app: Flask, postbox: Receiver, mailing: Settings
) -> None:
    postbox.replies[b"rcpt"] = "550 5.1.1 no such user"
    postbox.replies[b"RCPT"] = "550 5.1.1 no such user"
    with app.app_context():
        write_to("gone@example.com")
        begin(make(3))
        assert deliver_due(mailing, clock=lambda: START) == 1
        assert (sent()[0].state, sent()[0].attempts) == ("given_up", 1)
        assert "gone@example.com: 550 5.1.1" in (sent()[0].last_answer or "")


def test_an_answer_that_repeats_the_password_is_not_kept() -> None:
    kept = mail._without_password("you said AHVzZXIAc2VjcmV0", "user", "secret")
    assert "AHVzZXIAc2VjcmV0" not in kept
    assert mail._without_password("535 5.7.8 no", "user", "secret") == "535 5.7.8 no"


def test_a_dead_address_of_a_name_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    receiver = receive_webhooks()
    real = connect.socket.create_connection

    def swallow(address: tuple[str, int], timeout: float) -> socket.socket:
        if address[0] == "127.0.0.2":
            time.sleep(timeout)
            raise TimeoutError("timed out")
        return real(address, timeout=timeout)

    monkeypatch.setattr(connect.socket, "create_connection", swallow)
    monkeypatch.setattr(http, "addresses_of", lambda host, port: ["127.0.0.2", "127.0.0.1"])
    found = http.post(f"http://hooks.example.com:{receiver.port}/", b"{}", {}, allows_private=True, timeout=1)
    receiver.close()
    assert (found.status, len(receiver.requests)) == (200, 1)


@pytest.mark.usefixtures("in_app")
def test_a_recipient_gets_a_plain_mail_with_the_same_sentence(postbox: Receiver, settings: Settings) -> None:
    with transaction() as session:
        app = apps.find(session, None)
        apps.rename(session, SYSTEM, app, name="Tea: Bcc, x@example.com", revision=app.revision, now=START)
    write_to("team@example.com")
    begin(make(3, "1.3.0"))
    smtp = msgspec.structs.replace(
        settings, smtp_url=f"smtp://127.0.0.1:{postbox.port}", mail_from="updates@example.com"
    )
    assert deliver_due(smtp, clock=lambda: START) == 1
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


@pytest.mark.usefixtures("in_app")
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
        with pytest.raises(Invalid) as caught:
            write_to(email)
        assert caught.value.code == "bad_email", email


def test_a_password_is_not_sent_without_encryption(postbox: Receiver) -> None:
    letter = mail.Mail("a@example.com", "b@example.com", "Hello", "text", "k", START)
    with pytest.raises(mail.NotMailed, match="no encryption"):
        mail.send(f"smtp://user:password@127.0.0.1:{postbox.port}", letter)
    assert not any("AUTH" in line.upper() for line in postbox.envelopes)


@pytest.mark.usefixtures("in_app")
def test_without_a_mail_server_that_is_what_the_delivery_says(settings: Settings) -> None:
    write_to("team@example.com")
    begin(make(3))
    deliver_due(settings, clock=lambda: START)
    assert sent()[0].state == "pending"
    assert "OTA_SMTP_URL" in (sent()[0].last_answer or "")
