"""Which addresses belong to the open internet, and which to somebody's own network. The one place that decides it."""

from __future__ import annotations

import ipaddress
import re

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ALSO_PRIVATE = tuple(
    map(ipaddress.ip_network, ("fec0::/10", "3fff::/20", "64:ff9b:1::/48", "5f00::/16", "100:0:0:1::/64"))
)
"""Site-local, documentation, local NAT64, segment routing and dummy addresses, which not every Python knows."""

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


def is_public(text: str) -> bool:
    """Is it an address of the open internet, whatever other address is wrapped in it?"""
    address: Address = ipaddress.ip_address(text)
    if address in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)))
    wrapped = (
        []
        if isinstance(address, ipaddress.IPv4Address)
        else [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    )
    return all(_is_open(each) for each in (address, *(each for each in wrapped if each is not None)))


def is_inside(host: str) -> bool:
    """Does the host of an address, as somebody typed it, lead into this machine or its network by its very name?

    A name that has to be looked up does not: what is behind it is judged by `is_public` whenever it is looked up.
    """
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = literal(name)
    return address is not None and not is_public(address)


def literal(host: str) -> str | None:
    """The address that a numeric host means, read as connections read it: ``127.1`` and ``0x7f000001`` are 127.0.0.1."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return _old_style(host)


def _old_style(host: str) -> str | None:
    parts = host.split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    try:
        *first, last = [_number(part) for part in parts]
    except ValueError:
        return None
    room = 256 ** (4 - len(first))
    if last >= room or any(each > 255 for each in first):
        return None
    total = last + sum(each * 256 ** (3 - place) for place, each in enumerate(first))
    return str(ipaddress.IPv4Address(total))


def _number(text: str) -> int:
    if text[:2].lower() == "0x":
        return int(text[2:] or "0", 16)
    return int(text, 8) if text.startswith("0") else int(text)


def _is_open(address: Address) -> bool:
    is_known = address.is_global and not address.is_multicast and not address.is_reserved
    return is_known and not any(address in network for network in _ALSO_PRIVATE)
