"""A ZIP archive that nobody has vouched for, read strictly. Nothing is ever extracted to disk.

Two readers that see different things in one file are how a signed build is made to carry something else. So a file is
accepted only when there is one way to read it: one end record at the very end, a directory that agrees with every local
header, entries that touch neither each other nor anything unexplained. Source of the layout: PKWARE's APPNOTE.TXT; what
real builds have beside it (data descriptors, alignment, the APK Signing Block, empty filler entries) is let through.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ota.errors import Rejected
from ota.packages.directory import Entry, end_record, read_directory
from ota.packages.layout import located

_BLOCK = 256 * 1024
_MAGIC = b"PK\x03\x04"
MAX_INFLATED = 4 * 1024**3
"""Above this an archive isn't read, however large it is itself."""
_SUSPICIOUS_SIZE, _SUSPICIOUS_RATIO = 256 * 1024**2, 50


class Archive:
    """The entries of a file whose layout has been checked. Made by `opened`; any number of threads may read."""

    def __init__(self, file: int, size: int) -> None:
        self._file = file
        self.size = size
        """Of the whole file, in bytes."""
        self.end = end_record(self.raw, size)
        """The end record: where the central directory lies."""
        entries = read_directory(self.raw, self.end)
        self.entries: Mapping[str, Entry] = {
            entry.name: entry for entry in located(self.raw, entries.values(), self.end)
        }
        """Every entry by its name, in the order of the file."""

    def raw(self, offset: int, length: int) -> bytes:
        """Bytes as they are in the file. Raises `Rejected` when it ends before."""
        data = os.pread(self._file, length, offset)
        while len(data) < length:
            more = os.pread(self._file, length - len(data), offset + len(data))
            if not more:
                raise damaged("it ends in the middle of an entry")
            data += more
        return data

    def read(self, name: str, limit: int) -> bytes:
        """One entry, inflated. Raises `Rejected` above ``limit`` bytes, counted while inflating, and for a wrong CRC."""
        entry = self.entries[name]
        if entry.size > limit:
            raise Rejected(
                "entry_too_large",
                f"An entry that describes the build is larger than {limit // 1024} KiB. That is no ordinary build.",
            )
        return b"".join(self.chunks(entry))

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """The entry's bytes, inflated, in pieces. Raises `Rejected` at the first sign that its header lied."""
        crc = size = 0
        for piece in self._inflated(entry):
            size += len(piece)
            if size > entry.size:
                raise _lied(entry, "is larger than its header says")
            crc = zlib.crc32(piece, crc)
            yield piece
        if size != entry.size:
            raise _lied(entry, "is smaller than its header says")
        if crc != entry.crc:
            raise Rejected(
                "wrong_crc",
                f"The entry {entry.shown} is damaged: its CRC-32 does not match. Build it again, or upload the file again, whole.",
            )

    def _inflated(self, entry: Entry) -> Iterator[bytes]:
        offset, left = entry.data_offset, entry.compressed_size
        if entry.is_stored:
            while left:
                piece = self.raw(offset, min(left, _BLOCK))
                offset, left = offset + len(piece), left - len(piece)
                yield piece
            return
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            while left:
                fed = self.raw(offset, min(left, _BLOCK))
                offset, left = offset + len(fed), left - len(fed)
                while fed:
                    yield inflater.decompress(fed, 4 * _BLOCK)
                    fed = inflater.unconsumed_tail
                    if inflater.eof and (left or inflater.unused_data):
                        raise _lied(entry, "ends before its header says")
            while not inflater.eof and (rest := inflater.decompress(b"", 4 * _BLOCK)):
                yield rest
        except zlib.error as error:
            raise damaged(f"the entry {entry.shown} can't be inflated") from error
        if not inflater.eof:
            raise damaged(f"the entry {entry.shown} is cut off")

    def check_size(self) -> None:
        """Raises `Rejected` for an archive that unpacks to far more than any build: a bomb."""
        total = sum(entry.size for entry in self.entries.values())
        if total > MAX_INFLATED or (total > _SUSPICIOUS_SIZE and total > _SUSPICIOUS_RATIO * self.size):
            raise Rejected(
                "zip_bomb",
                f"The archive has {self.size:,} bytes and says that it unpacks to {total:,}. That is no build that a phone installs.",
            )

    def check_contents(self) -> None:
        """Inflate every entry and compare its size and CRC-32. Raises `Rejected`."""
        for entry in self.entries.values():
            for _ in self.chunks(entry):
                pass


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """The archive. Raises `Rejected` for what is no archive, a damaged one, or one that can be read in two ways."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(file).st_size
        start = os.pread(file, 4, 0)
        if start[:3] == b"dex":
            raise Rejected(
                "prepended",
                "A DEX file stands in front of the archive: that is an attack on old phones (Janus). Build and sign it again.",
            )
        if start != _MAGIC:
            raise Rejected(
                "not_a_package",
                "This file is not an APK or IPA: it is not a ZIP archive. Upload the file that your build made.",
            )
        archive = Archive(file, size)
        archive.check_size()
        yield archive
    finally:
        os.close(file)


def damaged(what: str) -> Rejected:
    """The error for bytes that can't be what they should be."""
    return Rejected(
        "damaged_archive", f"The archive is cut off or damaged: {what}. Upload the file again, whole."
    )


def _lied(entry: Entry, what: str) -> Rejected:
    return Rejected(
        "lying_header", f"The entry {entry.shown} {what}. Build the file again with the ordinary tools."
    )
