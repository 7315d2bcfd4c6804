"""Android's resource table (``resources.arsc``), which resolves references such as ``@string/app_name``.

Source of the format: ``ResourceTypes.h`` in the Android Open Source Project. References are looked up in the
bytes and nothing is unpacked in advance, so the cost does not grow with the table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ota.packages.chunks import STRING_POOL, Chunk, Malformed, StringPool, Value, chunk_at, chunks, unpack

_TABLE, _PACKAGE, _TYPE = 0x0002, 0x0200, 0x0201
_TYPE_HEADER = struct.Struct("<BBHII")
_CONFIG = struct.Struct("<I2HI2BH")
_VALUE = struct.Struct("<HBBI")
_SPARSE, _SHORT_OFFSETS = 0x01, 0x02
_COMPLEX, _COMPACT = 0x0001, 0x0008
_MAX_TYPES = 20_000
_MAX_DEPTH, _MAX_STEPS = 20, 1000
ANY_DENSITY = 0xFFFE


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a resource, and the devices that use it.

    ``locale`` is empty and ``density`` (in dpi) is 0 if they are not restricted. ``is_default``: used by
    every device that no other value is for.
    """

    value: Value
    locale: bytes
    density: int
    is_default: bool


@dataclass(frozen=True, slots=True)
class _Type:
    """The values of one type of resource for one configuration of devices. ``entries`` is an offset."""

    chunk: Chunk
    flags: int
    count: int
    entries: int
    locale: bytes
    density: int
    is_default: bool


class Resources:
    """A resource table. Every method raises `Malformed` for a table that is not in the format."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        table = chunk_at(data, 0, len(data))
        if table.kind != _TABLE:
            raise Malformed("it is no resource table")
        self._strings: StringPool | None = None
        self._types: dict[tuple[int, int], list[_Type]] = {}
        self._steps = 0
        for chunk in chunks(data, table.body, table.end):
            if chunk.kind == STRING_POOL and self._strings is None:
                self._strings = StringPool(data, chunk)
            elif chunk.kind == _PACKAGE:
                self._add_package(chunk)

    def text(self, value: Value) -> str | None:
        """Return the string that a value is or refers to on a device with default settings, if it is one."""
        for choice in self.choices(value):
            if choice.value.kind == Value.STRING and self._strings is not None:
                return self._strings.get(choice.value.data)
        return None

    def integer(self, value: Value) -> int:
        """Return the number that a value refers to.

        Raises `Malformed` if it is none, or differs between devices.
        """
        found = {(choice.value.is_integer, choice.value.data) for choice in self.choices(value)}
        is_integer, number = found.pop() if len(found) == 1 else (False, 0)
        if not is_integer:
            raise Malformed("a number is none, or differs between devices")
        return number

    def choices(self, value: Value) -> list[Choice]:
        """Return all values that a value can stand for, the default first.

        Raises `Malformed` if it refers to itself.
        """
        found: list[Choice] = []
        self._steps = 0
        self._follow(Choice(value, b"", 0, is_default=True), (), found)
        return sorted(found, key=_preference)

    def string(self, value: Value) -> str:
        """Return the string of a value of kind `Value.STRING`."""
        if self._strings is None:
            raise Malformed("it has no strings")
        return self._strings.get(value.data)

    def _follow(self, choice: Choice, seen: tuple[int, ...], found: list[Choice]) -> None:
        if choice.value.kind != Value.REFERENCE:
            found.append(choice)
            return
        resource = choice.value.data
        if resource in seen:
            raise Malformed("a resource refers to itself")
        self._steps += 1
        if len(seen) >= _MAX_DEPTH or self._steps > _MAX_STEPS:
            raise Malformed("a resource refers to others without end")
        for each in self._lookup(resource):
            # The target inherits the reference's restrictions: the default of a German value is no default.
            locale, density = choice.locale or each.locale, choice.density or each.density
            chained = Choice(each.value, locale, density, choice.is_default and each.is_default)
            self._follow(chained, (*seen, resource), found)

    def _lookup(self, resource: int) -> Iterator[Choice]:
        for each in self._types.get((resource >> 24, (resource >> 16) & 0xFF), ()):
            value = self._entry(each, resource & 0xFFFF)
            if value is not None:
                yield Choice(value, each.locale, each.density, each.is_default)

    def _add_package(self, package: Chunk) -> None:
        (package_id,) = unpack(struct.Struct("<I"), self._data, package.start + 8, package.body)
        for number, chunk in enumerate(chunks(self._data, package.body, package.end)):
            if number > _MAX_TYPES:
                raise Malformed("it has more parts than any build")
            if chunk.kind == _TYPE:
                type_id, values = self._type(chunk)
                self._types.setdefault((package_id & 0xFF, type_id), []).append(values)

    def _type(self, chunk: Chunk) -> tuple[int, _Type]:
        at = chunk.start + 8
        type_id, flags, _, count, entries = unpack(_TYPE_HEADER, self._data, at, chunk.end)
        config = at + _TYPE_HEADER.size
        size, *_, density = unpack(_CONFIG, self._data, config, chunk.end)
        restrictions = self._data[config + 4 : min(config + max(size, 4), chunk.body)]
        is_default = not restrictions.strip(b"\0")
        language = _language(bytes(restrictions[4:8]))
        return type_id, _Type(chunk, flags, count, chunk.start + entries, language, density, is_default)

    def _entry(self, kind: _Type, index: int) -> Value | None:
        at = self._entry_offset(kind, index)
        if at is None:
            return None
        at += kind.entries
        size, flags, key = unpack(struct.Struct("<HHI"), self._data, at, kind.chunk.end)
        if flags & _COMPACT:
            return Value(flags >> 8, key)
        if flags & _COMPLEX:
            return None
        _, _, value_kind, bits = unpack(_VALUE, self._data, at + size, kind.chunk.end)
        return Value(value_kind, bits)

    def _entry_offset(self, kind: _Type, index: int) -> int | None:
        if kind.flags & _SPARSE:
            if kind.chunk.body + 4 * kind.count > kind.chunk.end:
                raise Malformed("it says that it has more entries than fit into it")
            pairs = struct.iter_unpack("<HH", self._data[kind.chunk.body : kind.chunk.body + 4 * kind.count])
            return next((4 * offset for number, offset in pairs if number == index), None)
        if index >= kind.count:
            return None
        layout, nothing, unit = (
            (struct.Struct("<H"), 0xFFFF, 4)
            if kind.flags & _SHORT_OFFSETS
            else (struct.Struct("<I"), 0xFFFFFFFF, 1)
        )
        (offset,) = unpack(layout, self._data, kind.chunk.body + layout.size * index, kind.chunk.end)
        return None if offset == nothing else offset * unit


def _preference(choice: Choice) -> tuple[bool, bool, bool]:
    return not choice.is_default, choice.locale not in {b"", b"en"}, bool(choice.locale)


def _language(locale: bytes) -> bytes:
    # Three-letter languages are packed into the same two bytes. They only need to differ from none and from
    # English.
    return locale[:2].strip(b"\0")
