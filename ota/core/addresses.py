"""Whether an address belongs to the open internet or to a private network. No other module decides this."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ALSO_PRIVATE = tuple(
    map(ipaddress.ip_network, ("fec0::/10", "3fff::/20", "64:ff9b:1::/48", "5f00::/16", "100:0:0:1::/64"))
)
"""Site-local, documentation, local NAT64, segment routing and dummy networks, unknown to older Pythons."""

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


def is_public(text: str) -> bool:
    """Return whether an address, and each address wrapped in it, belongs to the open internet."""
    address: Address = ipaddress.ip_address(text)
    if address in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)))
    return all(_is_open(each) for each in (address, *_wrapped(address)))


def is_inside(host: str) -> bool:
    """Return whether a host, as typed by a person, names this machine or its network without a lookup.

    Names that need a lookup do not count: `is_public` judges their addresses each time they are resolved.
    """
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = literal(name)
    return address is not None and not is_public(address)


def literal(host: str) -> str | None:
    """Return the address that a numeric host means, or None for a name.

    Hosts are read as sockets read them: ``127.1`` and ``0x7f000001`` are 127.0.0.1.
    """
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return _old_style(host)


def _wrapped(address: Address) -> Iterator[Address]:
    if isinstance(address, ipaddress.IPv6Address):
        inner = (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()))
        yield from (each for each in inner if each is not None)


def _old_style(host: str) -> str | None:
    parts = host.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    try:
        *first, last = [_number(part) for part in parts]
    except ValueError:
        return None
    # The last part fills all bytes that the parts before it leave.
    if last >= 256 ** (4 - len(first)) or any(each > 255 for each in first):
        return None
    total = last + sum(each * 256 ** (3 - place) for place, each in enumerate(first))
    return str(ipaddress.IPv4Address(total))


def _number(text: str) -> int:
    if text[:2].lower() == "0x":
        return int(text[2:] or "0", 16)
    return int(text, 8) if text.startswith("0") else int(text)


def _is_open(address: Address) -> bool:
    is_global = address.is_global and not address.is_multicast and not address.is_reserved
    return is_global and not any(address in network for network in _ALSO_PRIVATE)
