"""Writer of Android's resource table, sufficient for labels in several languages and icons in several
densities.

Source of the format: ``ResourceTypes.h`` in the Android Open Source Project.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tests.builders.axml import chunk, string_pool

REFERENCE, STRING, INTEGER = 0x01, 0x03, 0x10
PACKAGE = 0x7F
ANY_DENSITY = 0xFFFE


@dataclass(frozen=True)
class Resource:
    """One value of a resource: a text, a number, or a reference to the resource ``refers_to``.

    Ids are like 0x7F010000.
    """

    id: int
    value: str | int = 0
    locale: str = ""
    density: int = 0
    refers_to: int | None = None


def encode(resources: list[Resource]) -> bytes:
    """Return the table as bytes: one package, with one type for each type number in the ids."""
    texts = sorted({each.value for each in resources if isinstance(each.value, str) and not each.refers_to})
    types = max(((resource.id >> 16) & 0xFF for resource in resources), default=1)
    names = string_pool([f"type{number}" for number in range(1, types + 1)])
    keys = string_pool(["key"])
    parts = b"".join(_values(number, resources, texts) for number in range(1, types + 1))
    header_size = 288
    package_name = "com.example.app".encode("utf-16-le")
    numbers = (header_size, types, header_size + len(names), 1, 0)
    head = struct.pack("<I256sIIIII", PACKAGE, package_name, *numbers)
    package = chunk(0x0200, header_size, head, names + keys + parts)
    return chunk(0x0002, 12, struct.pack("<I", 1), string_pool(texts) + package)


def _values(number: int, resources: list[Resource], texts: list[str]) -> bytes:
    """Return the specification of one type, and its values by configuration."""
    of_type = [resource for resource in resources if (resource.id >> 16) & 0xFF == number]
    count = max((resource.id & 0xFFFF for resource in of_type), default=0) + 1
    parts = chunk(0x0202, 16, struct.pack("<BBHI", number, 0, 0, count), b"\0" * 4 * count)
    for config in sorted({(resource.locale, resource.density) for resource in of_type}):
        matching = [resource for resource in of_type if (resource.locale, resource.density) == config]
        parts += _type(number, count, config, matching, texts)
    return parts


def _type(
    number: int, count: int, config: tuple[str, int], resources: list[Resource], texts: list[str]
) -> bytes:
    locale, density = config
    packed = struct.pack("<IHH4sBBH", 64, 0, 0, locale.encode().ljust(4, b"\0"), 0, 0, density).ljust(
        64, b"\0"
    )
    offsets, entries = [0xFFFFFFFF] * count, b""
    for resource in resources:
        offsets[resource.id & 0xFFFF] = len(entries)
        entries += struct.pack("<HHI", 8, 0, 0) + struct.pack("<HBBI", 8, 0, *_value(resource, texts))
    header_size = 20 + len(packed)
    head = struct.pack("<BBHII", number, 0, 0, count, header_size + 4 * count) + packed
    return chunk(0x0201, header_size, head, struct.pack(f"<{count}I", *offsets) + entries)


def _value(resource: Resource, texts: list[str]) -> tuple[int, int]:
    if resource.refers_to is not None:
        return REFERENCE, resource.refers_to
    if isinstance(resource.value, str):
        return STRING, texts.index(resource.value)
    return INTEGER, resource.value & 0xFFFFFFFF
