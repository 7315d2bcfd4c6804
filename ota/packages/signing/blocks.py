"""The APK Signing Block, and the length-prefixed values in it.

Source of the format: "APK Signature Scheme v2", Android Open Source Project documentation. Numbers are
little-endian.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ota.core.platforms import Scheme
from ota.errors import Rejected
from ota.packages.archive import Archive
from ota.packages.layout import signing_block_start
from ota.packages.signing.refusals import bad

_SCHEMES = {0x7109871A: Scheme.V2, 0xF05368C0: Scheme.V3, 0x1B93AD61: Scheme.V31}
"""The ids of pairs that are signatures.

Others (padding, dependencies, source stamp, store metadata) are skipped.
"""

_MAX_SIGNATURES = 8 * 1024**2
"""Bytes of one scheme's signatures. Ten signers with long lineages stay far below."""
_MAX_PAIRS = 1000


class Reader:
    """Reads consecutive values.

    Every method raises `Rejected`, with ``what`` as its subject, for a value cut off.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

    def __bool__(self) -> bool:
        """Return whether any bytes are left."""
        return self._at < len(self._data)

    def number(self) -> int:
        """Read an unsigned 32-bit integer."""
        return int.from_bytes(self._take(4), "little")

    def value(self) -> bytes:
        """Read length-prefixed bytes."""
        return self._take(self.number())

    def nested(self) -> Reader:
        """Read length-prefixed bytes and return a reader of them."""
        return Reader(self.value(), self._what)

    def each(self) -> Iterator[Reader]:
        """Yield a reader of each remaining length-prefixed value."""
        while self:
            yield self.nested()

    def rest(self) -> bytes:
        """Read all remaining bytes."""
        return self._take(len(self._data) - self._at)

    def _take(self, length: int) -> bytes:
        stop = self._at + length
        if stop > len(self._data):
            raise bad(f"{self._what} is cut off")
        taken = self._data[self._at : stop]
        self._at = stop
        return taken


@dataclass(frozen=True)
class SigningBlock:
    """The block's start and stop as offsets in the file, and the bytes of each signature scheme in it."""

    start: int
    stop: int
    schemes: Mapping[Scheme, bytes] = field(default_factory=dict)


def signing_block(archive: Archive) -> SigningBlock | None:
    """Return the block, or None if there is none.

    Raises `Rejected` if its pairs don't fill it, or if it has a scheme twice: Android takes the first, other
    readers the last, and no real tool makes two.
    """
    start = signing_block_start(archive.raw, archive.end)
    if start is None:
        return None
    stop = archive.end.directory_offset
    found: dict[Scheme, bytes] = {}
    for key, offset, length in _pairs(archive, start + 8, stop - 24):
        scheme = _SCHEMES.get(key)
        if scheme is None:
            continue
        if scheme in found:
            raise Rejected(
                "duplicate_block",
                f"The APK has two {scheme} signatures. Which one counts differs by reader; build and sign it "
                "again.",
            )
        if length > _MAX_SIGNATURES:
            raise bad(f"its {scheme} signature is larger than 8 MiB")
        found[scheme] = archive.raw(offset, length)
    return SigningBlock(start, stop, found)


def _pairs(archive: Archive, at: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yield the id, offset and length of each value.

    A pair is a 64-bit size, which includes the id, then the 32-bit id, then the value.
    """
    for _ in range(_MAX_PAIRS):
        if at == stop:
            return
        if stop - at < 12:
            raise bad("its signing block is damaged")
        header = archive.raw(at, 12)
        size = int.from_bytes(header[:8], "little")
        if not 4 <= size <= stop - at - 8:
            raise bad("its signing block is damaged")
        yield int.from_bytes(header[8:], "little"), at + 12, size - 4
        at += 8 + size
    if at != stop:
        raise bad("its signing block has more than 1,000 parts")
