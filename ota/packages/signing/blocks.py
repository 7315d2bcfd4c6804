"""The APK Signing Block, and the length-prefixed values that it is made of.

Source of the layout: "APK Signature Scheme v2", Android Open Source Project documentation. All numbers are little-endian.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ota.core.platforms import Scheme
from ota.errors import Rejected
from ota.packages.archive import Archive
from ota.packages.layout import signing_block_start
from ota.packages.signing.refusals import bad

BLOCK_IDS = {0x7109871A: Scheme.V2, 0xF05368C0: Scheme.V3, 0x1B93AD61: Scheme.V31}
"""The pairs that are signatures. Others (padding, dependencies, source stamp, store metadata) prove nothing and are skipped."""

_MAX_SIGNATURES = 8 * 1024**2
"""Bytes of one scheme's signatures: ten signers with long histories stay far below."""
_MAX_PAIRS = 1000


class Reader:
    """Reads values one after the other. ``what`` names the whole in the sentence of the `Rejected` for a value that is cut off."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

    def __bool__(self) -> bool:
        """Is anything left?"""
        return self._at < len(self._data)

    def number(self) -> int:
        """An unsigned 32-bit integer."""
        return int.from_bytes(self._take(4), "little")

    def value(self) -> bytes:
        """Bytes behind their length."""
        return self._take(self.number())

    def nested(self) -> Reader:
        """The same, to be read on."""
        return Reader(self.value(), self._what)

    def each(self) -> Iterator[Reader]:
        """All that is left, as length-prefixed values."""
        while self:
            yield self.nested()

    def rest(self) -> bytes:
        """All that is left."""
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
    """Where it starts and stops in the file, and the bytes of each signature scheme in it."""

    start: int
    stop: int
    schemes: Mapping[Scheme, bytes] = field(default_factory=dict)


def signing_block(archive: Archive) -> SigningBlock | None:
    """The block, None when there is none. Raises `Rejected` when its pairs don't fill it, or a scheme is in it twice.

    Android takes the first of two, other readers the last: nothing that real tools make.
    """
    start = signing_block_start(archive.raw, archive.end)
    if start is None:
        return None
    stop = archive.end.directory_offset
    found: dict[Scheme, bytes] = {}
    for key, offset, length in _pairs(archive, start + 8, stop - 24):
        scheme = BLOCK_IDS.get(key)
        if scheme is None:
            continue
        if scheme in found:
            raise Rejected(
                "duplicate_block",
                f"The APK has two {scheme} signatures. Which one counts differs by reader; build and sign it again.",
            )
        if length > _MAX_SIGNATURES:
            raise bad(f"its {scheme} signature is larger than 8 MiB")
        found[scheme] = archive.raw(offset, length)
    return SigningBlock(start, stop, found)


def _pairs(archive: Archive, at: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Id, offset and length of each value: a 64-bit size, which counts the 32-bit id, the id, the value."""
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
