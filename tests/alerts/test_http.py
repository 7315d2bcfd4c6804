"""Webhooks over HTTP: limited in time and size, never redirected, never into the own network."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from ota.alerts import tries
from ota.alerts.transports import connect, http
from ota.config import Settings
from ota.core.addresses import is_public
from tests.alerts.given import deliver_due, hook, sent
from tests.receivers import Receiver, byte_by_byte, endless
from tests.releases.given import START, begin, make

pytestmark = pytest.mark.usefixtures("in_app")


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
def test_a_name_that_resolves_into_the_own_network_gets_nothing(
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
        deliver_due(settings, clock=lambda: START)
        assert "not a public address" in (sent()[0].last_answer or "")
        assert (sent()[0].state, receiver.requests) == ("pending", [])


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "64:ff9b::5db8:d822"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_the_connection_goes_to_the_address_that_was_checked(
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
    deliver_due(inside, clock=lambda: START)
    assert [request.path for request in receiver.requests] == ["/hook?team=1"]
    assert (sent()[0].state, sent()[0].last_status) == ("pending", 302)
    assert "redirect" in (sent()[0].last_answer or "")


def test_of_a_huge_answer_only_the_beginning_is_read(receiver: Receiver, inside: Settings) -> None:
    receiver.write = endless
    hook(receiver.url)
    begin(make(3))
    deliver_due(inside, clock=lambda: START)
    assert (sent()[0].state, sent()[0].last_answer) == ("delivered", "x" * tries.MAX_ANSWER)


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
        with pytest.raises(http.NotSent, match=r"0\.5 seconds"):
            http.post(
                f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {}, allows_private=True, timeout=0.5
            )
        stop.set()
        thread.join()


def test_a_dead_receiver_and_an_unknown_name_are_told_apart(receiver: Receiver) -> None:
    receiver.close()
    with pytest.raises(http.NotSent, match="could not be reached"):
        http.post(receiver.url, b"{}", {}, allows_private=True)
    with pytest.raises(http.NotSent, match="is not known"):
        http.post("http://nothing.invalid/", b"{}", {}, allows_private=True)
