"""Fields of receivers as they are stored: web address, e-mail address, chosen kinds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from ota.core.addresses import is_inside
from ota.core.alerts import SELECTABLE
from ota.errors import Invalid

MAX_URL = 500

_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,187}[A-Za-z0-9])?", re.ASCII
)


def alert_kinds(events: Iterable[str] | None) -> list[str]:
    """Return the chosen kinds in their usual order, or all of them for None. Raises `Invalid`."""
    if events is None:
        return [kind.value for kind in SELECTABLE]
    wanted = set(events)
    unknown = sorted(wanted - {kind.value for kind in SELECTABLE})
    if unknown or not wanted:
        known = ", ".join(kind.value for kind in SELECTABLE)
        problem = f"'{unknown[0][:40]}' is no event" if unknown else "choose at least one event"
        raise Invalid.about("events", "bad_events", f"{problem}. Expected some of: {known}.")
    return [kind.value for kind in SELECTABLE if kind in wanted]


def email_address(email: str) -> str:
    """Return the address without spaces around it. Raises `Invalid`."""
    email = email.strip()
    domain = domain_of(email).lower()
    if not _EMAIL.fullmatch(email) or ".." in domain or ("." not in domain and domain != "localhost"):
        raise Invalid.about("email", "bad_email", "expected an e-mail address such as team@example.com.")
    return email


def domain_of(email: str) -> str:
    """Return the domain of an e-mail address."""
    return email.rpartition("@")[2]


def webhook_url(url: str, *, allows_private: bool) -> str:
    """Return the address without spaces around it. Raises `Invalid`.

    ``allows_private``: this installation can send to addresses inside its own network. The address that a
    host name resolves to is checked at every try, see `ota.alerts.transports.http`.
    """
    url = url.strip()
    host = _host_of(url)
    if host is None:
        raise Invalid.about(
            "url",
            "bad_webhook_url",
            "expected an address such as https://hooks.example.com/updates, "
            f"at most {MAX_URL} plain characters.",
        )
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise Invalid.about(
            "url",
            "password_in_url",
            "leave out name and password. The signature shows the receiver who is sending.",
        )
    if not allows_private and is_inside(host):
        raise Invalid.about(
            "url",
            "private_address",
            f"{host} is inside this server's own network, where webhooks are not sent. "
            "Expected a public address; OTA_WEBHOOK_PRIVATE=true lets an installation send to private ones.",
        )
    return url


def without_path(url: str) -> str:
    """Return scheme and host of a webhook's address, for the history, which all viewers read.

    Many receivers keep a key in the path or the query.
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _host_of(url: str) -> str | None:
    """Return the host of a usable web address, or None."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        return None
    is_plain = (
        len(url) <= MAX_URL and url.isascii() and url.isprintable() and not set(url) & set(' "<>\\^`{|}')
    )
    return host if is_plain and parts.scheme in {"http", "https"} and not parts.fragment else None
