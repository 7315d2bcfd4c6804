"""Connections to strangers: tried in turn within one limit, and ended at their deadline whatever the other side does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Sequence


def addresses_of(host: str, port: int) -> list[str]:
    """The addresses that a name leads to, each once. Raises `OSError` or `UnicodeError` where it leads to none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def connect(addresses: Sequence[str], port: int, deadline: float) -> socket.socket:
    """To the first address that answers. Each may take an equal share of the time that is left, so that a dead one leaves some to the next.

    Raises `OSError`, that of the last one.
    """
    problem: OSError = TimeoutError("timed out")
    for number, address in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            # An address and no name: nothing is looked up again.
            wire = socket.create_connection((address, port), timeout=left / (len(addresses) - number))
        except OSError as error:
            problem = error
            continue
        wire.settimeout(max(0.1, deadline - time.monotonic()))
        return wire
    raise problem


class Guard:
    """Ends a connection at its deadline: a timeout of the socket begins anew with every byte that arrives."""

    def __init__(self, wire: socket.socket, deadline: float) -> None:
        self._handle = (
            wire.dup()
        )  # TLS takes the socket over; this handle stays and means the same connection.
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._end)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        self._timer.cancel()
        self._timer.join()
        self._handle.close()

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self._handle.shutdown(socket.SHUT_RDWR)
