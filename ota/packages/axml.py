"""Android's binary XML. As on Android, attributes are found by resource id, since names can be stripped.

Source of the format: ``ResourceTypes.h`` in the Android Open Source Project.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from ota.packages.chunks import (
    NOTHING,
    STRING_POOL,
    Chunk,
    Malformed,
    StringPool,
    Value,
    chunk_at,
    chunks,
    unpack,
)

_XML, _RESOURCE_MAP, _START, _END = 0x0003, 0x0180, 0x0102, 0x0103
_ELEMENT = struct.Struct("<2I6H")
_ATTRIBUTE = struct.Struct("<3IHBBI")
_MAX_DEPTH = 64
_MAX_ELEMENTS = 100_000

Key = int | str
"""An attribute's resource id, or its name if it has no namespace. Android looks attributes up by either."""


@dataclass(slots=True)
class Element:
    """One element. Values of kind `Value.STRING` are in ``texts`` as well."""

    name: str
    attributes: dict[Key, Value] = field(default_factory=dict)
    texts: dict[Key, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)

    def named(self, name: str) -> Iterator[Element]:
        """Yield the children with this name."""
        return (child for child in self.children if child.name == name)


def parse(data: bytes) -> Element:
    """Return the root element.

    Raises `Malformed` if Android would not read it, or could read it in two ways.
    """
    document = chunk_at(data, 0, len(data))
    if document.kind != _XML:
        raise Malformed("it is not binary XML")
    parser = _Parser(data)
    for chunk in chunks(data, document.body, document.end):
        parser.take(chunk)
    if len(parser.roots) != 1:
        raise Malformed("it has no root element, or more than one")
    return parser.roots[0]


class _Parser:
    """Builds the tree of elements from the chunks of a document, in their order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._pool: StringPool | None = None
        self._resource_ids: tuple[int, ...] | None = None
        self._open: list[Element] = []
        self._count = 0
        self.roots: list[Element] = []

    def take(self, chunk: Chunk) -> None:
        """Process the next chunk. Raises `Malformed`."""
        if chunk.kind == STRING_POOL:
            # Readers differ in which of two pools they use, and whether one behind an element counts.
            if self._pool is not None or self._count:
                raise Malformed("it has more than one string pool")
            self._pool = StringPool(self._data, chunk)
        elif chunk.kind == _RESOURCE_MAP:
            if self._resource_ids is not None or self._count:
                raise Malformed("it has more than one map of attributes")
            count = (chunk.end - chunk.body) // 4
            self._resource_ids = struct.unpack_from(f"<{count}I", self._data, chunk.body)
        elif chunk.kind == _START and self._pool is not None:
            self._begin(self._element(chunk, self._pool))
        elif chunk.kind == _END:
            if not self._open:
                raise Malformed("an element ends that never began")
            self._open.pop()

    def _begin(self, element: Element) -> None:
        (self._open[-1].children if self._open else self.roots).append(element)
        self._open.append(element)
        self._count += 1
        if len(self._open) > _MAX_DEPTH or self._count > _MAX_ELEMENTS:
            raise Malformed("it is nested deeper or longer than any manifest")

    def _element(self, chunk: Chunk, pool: StringPool) -> Element:
        _, name, start, size, count, *_ = unpack(_ELEMENT, self._data, chunk.body, chunk.end)
        element = Element(pool.get(name))
        if count and size < _ATTRIBUTE.size:
            raise Malformed("its attributes are smaller than attributes are")
        last_id = 0
        for index in range(count):
            attribute = unpack(_ATTRIBUTE, self._data, chunk.body + start + index * size, chunk.end)
            resource_id = self._resource_id(attribute[1])
            # Android searches attributes in this order and never finds one in another place.
            if resource_id and resource_id <= last_id:
                raise Malformed("its attributes are not in order, or one is there twice")
            last_id = resource_id or last_id
            _add_attribute(element, attribute, resource_id, pool)
        return element

    def _resource_id(self, name: int) -> int:
        known = self._resource_ids or ()
        return known[name] if name < len(known) else 0


def _add_attribute(element: Element, attribute: tuple[int, ...], resource_id: int, pool: StringPool) -> None:
    namespace, name, raw, _, _, kind, bits = attribute
    if kind == Value.STRING and raw != NOTHING and pool.get(raw) != pool.get(bits):
        raise Malformed("an attribute has two values")
    keys: list[Key] = [resource_id] if resource_id else []
    if namespace == NOTHING:
        keys.append(pool.get(name))
    for key in keys:
        if key in element.attributes:
            raise Malformed("an element has the same attribute twice")
        element.attributes[key] = Value(kind, bits)
        if kind == Value.STRING:
            element.texts[key] = pool.get(bits)
