"""Connections to receivers: tried in turn within one limit, and closed at a deadline in any case."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Sequence


def addresses_of(host: str, port: int) -> list[str]:
    """Return the addresses of a host, each once.

    Raises `OSError` or `UnicodeError` if the name does not resolve.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def connect(addresses: Sequence[str], port: int, deadline: float) -> socket.socket:
    """Connect to the first address that answers, before ``deadline`` (of the monotonic clock).

    Each address gets an equal share of the time left, so that a dead one leaves time for the next. Raises
    `OSError`, the error of the last address.
    """
    problem: OSError = TimeoutError("timed out")
    for number, address in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            # A numeric address, so that no name is resolved again.
            wire = socket.create_connection((address, port), timeout=left / (len(addresses) - number))
        except OSError as error:
            problem = error
            continue
        wire.settimeout(max(0.1, deadline - time.monotonic()))
        return wire
    raise problem


class Guard:
    """Closes a connection at its deadline.

    A socket's own timeout starts again with every byte that arrives.
    """

    def __init__(self, wire: socket.socket, deadline: float) -> None:
        # TLS takes the socket over; this handle stays valid and belongs to the same connection.
        self._handle = wire.dup()
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._end)
        self._timer.daemon = True
        self._timer.start()

    def close(self) -> None:
        """Stop watching the connection."""
        self._timer.cancel()
        self._timer.join()
        self._handle.close()

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self._handle.shutdown(socket.SHUT_RDWR)
