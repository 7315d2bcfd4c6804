"""Mail servers that are slow, rude or confused: each mail is sent once, in limited time, and the real reason is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from flask import Flask

from ota.alerts import sender
from ota.alerts.transports import connect, http, mail
from ota.config import Settings
from tests.alerts.given import sent, write_to
from tests.receivers import Receiver, receive_mail, receive_webhooks
from tests.releases.given import START, begin, make

LETTER = mail.Mail("a@example.com", "b@example.com", "Hello", "text", "k", datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
def postbox() -> Iterator[Receiver]:
    found = receive_mail()
    yield found
    found.close()


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
    assert send(postbox) == "127.0.0.1 took it."
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
        with pytest.raises(mail.NotMailed, match=r"no answer within 0\.5 seconds") as caught:
            mail.send(f"smtp://127.0.0.1:{server.getsockname()[1]}", LETTER, limit=0.5)
        stop.set()
        thread.join()
    assert (caught.value.is_down, time.monotonic() - began < 5) == (True, True)


@pytest.mark.parametrize(
    ("verb", "reply", "said", "is_down", "is_final"),
    [
        (
            b"RCPT",
            "550 5.1.1 no such user",
            "does not take e-mail for b@example.com: 550 5.1.1 no such user",
            False,
            True,
        ),
        (
            b"RCPT",
            "451 4.7.1 come again later",
            "does not take e-mail for b@example.com: 451 4.7.1 come again later",
            False,
            False,
        ),
        (b"MAIL", "530 5.7.0 log in first", "did not take the e-mail: 530 5.7.0 log in first", True, False),
        (
            b"DATA",
            "554 5.7.1 looks like spam",
            "did not take the e-mail: 554 5.7.1 looks like spam",
            False,
            False,
        ),
    ],
)
def test_the_reason_is_the_servers_own(
    verb: bytes, reply: str, said: str, is_down: bool, is_final: bool, postbox: Receiver
) -> None:
    postbox.replies.update({verb: reply, b"QUIT": ""})
    with pytest.raises(mail.NotMailed) as caught:
        send(postbox)
    assert str(caught.value) == f"127.0.0.1:{postbox.port} {said}"
    assert (caught.value.is_down, caught.value.is_final) == (is_down, is_final)


def test_a_recipient_that_does_not_exist_is_given_up_at_once(
    app: Flask, postbox: Receiver, mailing: Settings
) -> None:
    postbox.replies[b"rcpt"] = "550 5.1.1 no such user"
    postbox.replies[b"RCPT"] = "550 5.1.1 no such user"
    with app.app_context():
        write_to("gone@example.com")
        begin(make(3))
        assert sender.deliver_due(mailing, clock=lambda: START) == 1
        assert (sent()[0].state, sent()[0].attempts) == ("given_up", 1)
        assert "gone@example.com: 550 5.1.1 no such user" in (sent()[0].last_answer or "")


def test_an_answer_that_repeats_the_password_is_not_kept() -> None:
    said = mail._without("you said AHVzZXIAc2VjcmV0", "user", "secret")
    assert said == "(its answer repeats the password)"
    assert mail._without("535 5.7.8 no", "user", "secret") == "535 5.7.8 no"


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
