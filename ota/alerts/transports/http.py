"""One signed POST to an address that a person entered.

Limited in time and size, never into the own network.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from ota.alerts.transports.connect import Guard, addresses_of, connect
from ota.core.addresses import is_public

TIMEOUT = 10.0
"""Seconds for the whole exchange, from the first connection to the last byte read. Resolving comes before."""

MAX_READ = 4096
"""Bytes of an answer that are read."""


class NotSent(Exception):
    """There was no answer. The message gives the reason."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A receiver's answer: its status and the beginning of its body."""

    status: int
    text: str

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the value of ``X-OTA-Signature``: HMAC-SHA-256 over the timestamp, a dot and the body."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def post(
    url: str, body: bytes, headers: dict[str, str], *, allows_private: bool, timeout: float = TIMEOUT
) -> HttpAnswer:
    """Send the request. Follow no redirect and use no proxy. Raises `NotSent`.

    The connection goes to the same numeric address that was checked, so a name that resolves to another
    address a moment later does no harm.
    """
    parts = urlsplit(url)
    host, is_secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    addresses = resolve(host, port, allows_private=allows_private)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    deadline = time.monotonic() + timeout
    connection, guard = http.client.HTTPConnection(host, port), None
    try:
        wire = connection.sock = connect(addresses, port, deadline)
        guard = Guard(wire, deadline)
        if is_secure:
            connection.sock = ssl.create_default_context().wrap_socket(wire, server_hostname=host)
        connection.request("POST", target, body, {"Host": parts.netloc, **headers})
        with connection.getresponse() as answer:
            return HttpAnswer(answer.status, _beginning(answer))
    except (OSError, http.client.HTTPException, ValueError) as error:
        if time.monotonic() >= deadline:
            raise NotSent(f"There was no answer within {timeout:g} seconds.") from error
        raise NotSent(f"{host} could not be reached: {str(error) or type(error).__name__}.") from error
    finally:
        if guard is not None:
            guard.close()
        connection.close()


def resolve(host: str, port: int, *, allows_private: bool) -> list[str]:
    """Return the addresses of a host. Raises `NotSent` if there is none, or if one of them is not allowed."""
    try:
        addresses = addresses_of(host, port)
    except (OSError, UnicodeError) as error:
        raise NotSent(f"{host} is not known: {error}.") from error
    for address in addresses:
        if not allows_private and not is_public(address):
            raise NotSent(
                f"{host} leads to {address}, which is not a public address. "
                "OTA_WEBHOOK_PRIVATE=true allows those."
            )
    if not addresses:
        raise NotSent(f"{host} has no address.")
    return addresses


def _beginning(answer: http.client.HTTPResponse) -> str:
    """Return the beginning of the body, or nothing if it cannot be read: the status counts in any case."""
    try:
        return answer.read(MAX_READ).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException, ValueError):
        return ""
