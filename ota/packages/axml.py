"""Android's binary XML. Attributes are known by their resource id, as Android does it, since their names can be stripped.

Source of the layout: ``ResourceTypes.h`` in the Android Open Source Project.
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
"""An attribute's resource id, and its name if it has no namespace: Android asks for either."""


@dataclass(slots=True)
class Element:
    """One element; values of kind `Value.STRING` are in ``texts`` too."""

    name: str
    attributes: dict[Key, Value] = field(default_factory=dict)
    texts: dict[Key, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)

    def named(self, name: str) -> Iterator[Element]:
        """The children with this name."""
        return (child for child in self.children if child.name == name)


def parse(data: bytes) -> Element:
    """The root element. Raises `Malformed` for what Android would not read, or would read in more than one way."""
    document = chunk_at(data, 0, len(data))
    if document.kind != _XML:
        raise Malformed("it is not binary XML")
    pool: StringPool | None = None
    resource_ids: tuple[int, ...] | None = None
    open_elements, roots, count = list[Element](), list[Element](), 0
    for chunk in chunks(data, document.body, document.end):
        if chunk.kind == STRING_POOL:
            # Readers differ in which of two they take, and whether one behind an element counts.
            if pool is not None or count:
                raise Malformed("it has more than one string pool")
            pool = StringPool(data, chunk)
        elif chunk.kind == _RESOURCE_MAP:
            if resource_ids is not None or count:
                raise Malformed("it has more than one map of attributes")
            resource_ids = _resource_map(data, chunk)
        elif chunk.kind == _START and pool is not None:
            element, count = _element(data, chunk, pool, resource_ids or ()), count + 1
            (open_elements[-1].children if open_elements else roots).append(element)
            open_elements.append(element)
        elif chunk.kind == _END:
            if not open_elements:
                raise Malformed("an element ends that never began")
            open_elements.pop()
        if len(open_elements) > _MAX_DEPTH or count > _MAX_ELEMENTS:
            raise Malformed("it is nested deeper or longer than any manifest")
    if len(roots) != 1:
        raise Malformed("it has no root element, or more than one")
    return roots[0]


def _resource_map(data: bytes, chunk: Chunk) -> tuple[int, ...]:
    count = (chunk.end - chunk.body) // 4
    return struct.unpack_from(f"<{count}I", data, chunk.body)


def _element(data: bytes, chunk: Chunk, pool: StringPool, resource_ids: tuple[int, ...]) -> Element:
    _, name, start, size, count, *_ = unpack(_ELEMENT, data, chunk.body, chunk.end)
    element = Element(pool.get(name))
    if count and size < _ATTRIBUTE.size:
        raise Malformed("its attributes are smaller than attributes are")
    last_id = 0
    for index in range(count):
        namespace, name, raw, _, _, kind, bits = unpack(
            _ATTRIBUTE, data, chunk.body + start + index * size, chunk.end
        )
        resource_id = resource_ids[name] if name < len(resource_ids) else 0
        if resource_id:
            # Android looks for them in this order and never finds one that stands elsewhere.
            if resource_id <= last_id:
                raise Malformed("its attributes are not in order, or one is there twice")
            last_id = resource_id
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
    return element
