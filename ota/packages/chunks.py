"""The chunks of Android's binary files, and their string pools.

Source of the format: ``ResourceTypes.h`` in the Android Open Source Project. Chunks are read lazily and
within their bounds, so a false count costs nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_HEADER = struct.Struct("<HHI")
_POOL = struct.Struct("<5I")
_UTF8 = 0x100
_MAX_STRING = 32_767
_MAX_KEPT = 2000

STRING_POOL = 0x0001
NOTHING = 0xFFFFFFFF


class Malformed(ValueError):
    """The bytes are not in the format that Android's tools write. The message is a clause about the file."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk.

    Offsets are in bytes from the start of the file; the body lies between ``body`` and ``end``.
    """

    kind: int
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class Value:
    """A typed value (``Res_value``): its kind and its 32 bits of data."""

    kind: int
    data: int

    REFERENCE = 0x01
    STRING = 0x03
    BOOLEAN = 0x12

    @property
    def is_integer(self) -> bool:
        return 0x10 <= self.kind <= 0x1F


def unpack(layout: struct.Struct, data: bytes, at: int, end: int) -> tuple[int, ...]:
    """Unpack a structure at an offset. Raises `Malformed` if it reaches beyond ``end``."""
    if at < 0 or at + layout.size > min(end, len(data)):
        raise Malformed("a structure lies outside its chunk")
    return layout.unpack_from(data, at)


def chunk_at(data: bytes, at: int, end: int) -> Chunk:
    """Return the chunk at this offset.

    Raises `Malformed` if it is missing, empty, or reaches beyond ``end``.
    """
    kind, header_size, size = unpack(_HEADER, data, at, end)
    if not _HEADER.size <= header_size <= size <= end - at:
        raise Malformed("a chunk does not fit into the one around it")
    return Chunk(kind, at, at + header_size, at + size)


def chunks(data: bytes, start: int, end: int) -> Iterator[Chunk]:
    """Yield the chunks between two offsets. Raises `Malformed`."""
    while start + _HEADER.size <= end:
        chunk = chunk_at(data, start, end)
        yield chunk
        start = chunk.end


class StringPool:
    """Strings by index, decoded on demand."""

    def __init__(self, data: bytes, chunk: Chunk) -> None:
        self._data, self._chunk = data, chunk
        self.count, _, flags, strings, _ = unpack(_POOL, data, chunk.start + _HEADER.size, chunk.end)
        self._strings, self._is_utf8 = chunk.start + strings, bool(flags & _UTF8)
        self._decoded: dict[int, str] = {}
        if chunk.body + 4 * self.count > chunk.end or not chunk.body <= self._strings <= chunk.end:
            raise Malformed("a string pool says that it has more strings than fit into it")

    def get(self, index: int) -> str:
        """Return one string. Raises `Malformed` if the index is out of range."""
        found = self._decoded.get(index)
        if found is None:
            if len(self._decoded) >= _MAX_KEPT:
                self._decoded.clear()
            found = self._decoded[index] = self._decode(index)
        return found

    def _decode(self, index: int) -> str:
        if not 0 <= index < self.count:
            raise Malformed("a string is referred to that does not exist")
        at = self._strings + int.from_bytes(
            self._data[self._chunk.body + 4 * index : self._chunk.body + 4 * index + 4], "little"
        )
        return self._utf8(at) if self._is_utf8 else self._utf16(at)

    def _utf16(self, at: int) -> str:
        (length,) = unpack(struct.Struct("<H"), self._data, at, self._chunk.end)
        at += 2
        if length & 0x8000:
            (low,) = unpack(struct.Struct("<H"), self._data, at, self._chunk.end)
            length, at = (length & 0x7FFF) << 16 | low, at + 2
        return self._cut(at, 2 * length).decode("utf-16-le", "replace")

    def _utf8(self, at: int) -> str:
        for _ in range(2):  # The length in UTF-16 units, which is not needed, then the length in bytes.
            (length,) = unpack(struct.Struct("<B"), self._data, at, self._chunk.end)
            at += 1
            if length & 0x80:
                (low,) = unpack(struct.Struct("<B"), self._data, at, self._chunk.end)
                length, at = (length & 0x7F) << 8 | low, at + 1
        return self._cut(at, length).decode("utf-8", "replace")

    def _cut(self, at: int, size: int) -> bytes:
        if at + size > self._chunk.end:
            raise Malformed("a string is longer than its pool")
        return self._data[at : at + min(size, 2 * _MAX_STRING)]
