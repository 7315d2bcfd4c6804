"""Writer of Android's binary XML, sufficient for manifests that Android's own tools accept.

Source of the format: ``ResourceTypes.h`` in the Android Open Source Project.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

ANDROID = "http://schemas.android.com/apk/res/android"
RESOURCE_IDS = {
    "icon": 0x01010002,
    "drawable": 0x01010199,
    "testOnly": 0x01010272,
    "extractNativeLibs": 0x010104EA,
    "isSplitRequired": 0x01010591,
    "versionCode": 0x0101021B,
    "versionName": 0x0101021C,
    "minSdkVersion": 0x0101020C,
    "targetSdkVersion": 0x01010270,
    "versionCodeMajor": 0x01010576,
    "label": 0x01010001,
    "debuggable": 0x0101000F,
    "hasCode": 0x0101000C,
    "name": 0x01010003,
}
NONE = 0xFFFFFFFF
REFERENCE, STRING, INTEGER, BOOLEAN = 0x01, 0x03, 0x10, 0x12


class Reference(int):
    """The id of a resource."""


@dataclass
class Element:
    """An element with attributes. Names in `RESOURCE_IDS` belong to Android's namespace."""

    name: str
    attributes: dict[str, str | int | bool] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)


def encode(root: Element) -> bytes:
    """Return the document as bytes."""
    strings = _Strings()
    used = sorted(
        {name for element in _walk(root) for name in element.attributes if name in RESOURCE_IDS},
        key=RESOURCE_IDS.__getitem__,
    )
    for name in used:  # The resource map is about the first strings of the pool.
        strings.index(name)
    line = struct.pack("<II", 1, NONE)
    namespace = struct.pack("<II", strings.index("android"), strings.index(ANDROID))
    body = chunk(0x0100, 16, line, namespace) + _element(root, strings) + chunk(0x0101, 16, line, namespace)
    resource_map = chunk(0x0180, 8, b"", b"".join(struct.pack("<I", RESOURCE_IDS[name]) for name in used))
    return chunk(0x0003, 8, b"", strings.encode() + resource_map + body)


class _Strings:
    def __init__(self) -> None:
        self._all: list[str] = []

    def index(self, text: str) -> int:
        if text not in self._all:
            self._all.append(text)
        return self._all.index(text)

    def encode(self) -> bytes:
        return string_pool(self._all)


def string_pool(texts: list[str]) -> bytes:
    """Return a string pool in UTF-16."""
    offsets, data = [], b""
    for text in texts:
        offsets.append(len(data))
        encoded = text.encode("utf-16-le")
        data += struct.pack("<H", len(encoded) // 2) + encoded + b"\0\0"
    data += b"\0" * (-len(data) % 4)
    start = 28 + 4 * len(offsets)
    header = struct.pack("<IIIII", len(offsets), 0, 0, start, 0)
    return chunk(0x0001, 28, header, b"".join(struct.pack("<I", offset) for offset in offsets) + data)


def _walk(element: Element) -> list[Element]:
    return [element, *(inner for child in element.children for inner in _walk(child))]


def _element(element: Element, strings: _Strings) -> bytes:
    # Android finds attributes by binary search on their resource ids.
    names = sorted(element.attributes, key=lambda name: RESOURCE_IDS.get(name, NONE))
    attributes = b"".join(_attribute(name, element.attributes[name], strings) for name in names)
    node = struct.pack("<II", 1, NONE)
    start = (
        struct.pack("<IIHHHHHH", NONE, strings.index(element.name), 20, 20, len(names), 0, 0, 0) + attributes
    )
    end = struct.pack("<II", NONE, strings.index(element.name))
    inner = b"".join(_element(child, strings) for child in element.children)
    return chunk(0x0102, 16, node, start) + inner + chunk(0x0103, 16, node, end)


def _attribute(name: str, value: str | int | bool, strings: _Strings) -> bytes:
    namespace = strings.index(ANDROID) if name in RESOURCE_IDS else NONE
    if isinstance(value, str):
        kind, data, raw = STRING, strings.index(value), strings.index(value)
    elif isinstance(value, Reference):
        kind, data, raw = REFERENCE, value, NONE
    elif isinstance(value, bool):
        kind, data, raw = BOOLEAN, NONE if value else 0, NONE
    else:
        kind, data, raw = INTEGER, value & 0xFFFFFFFF, NONE
    return struct.pack("<III", namespace, strings.index(name), raw) + struct.pack("<HBBI", 8, 0, kind, data)


def chunk(kind: int, header_size: int, header: bytes, body: bytes) -> bytes:
    """Return one chunk of a binary file."""
    return struct.pack("<HHI", kind, header_size, 8 + len(header) + len(body)) + header + body
