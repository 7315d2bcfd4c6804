"""An untrusted ZIP archive, read strictly. Nothing is ever extracted to disk.

An archive in which two readers see different things lets a signed build carry something else. So a file is
accepted only if there is one way to read it: one end record at the very end, a directory that agrees with
every local header, and entries with neither overlaps nor unexplained bytes between them. Source of the
format: PKWARE's APPNOTE.TXT. Peculiarities of real builds (data descriptors, alignment, the APK Signing
Block, empty filler entries) are accepted.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ota.errors import Rejected
from ota.packages.directory import Entry, damaged, end_record, read_directory
from ota.packages.layout import located_entries

_BLOCK = 256 * 1024
_MAGIC = b"PK\x03\x04"
_MAX_INFLATED = 4 * 1024**3
"""Bytes. An archive that unpacks to more is rejected, whatever its own size."""
_SUSPICIOUS_SIZE, _SUSPICIOUS_RATIO = 256 * 1024**2, 50


class Archive:
    """The entries of a file whose layout has been checked.

    Made by `open_archive`; safe to read from any thread.
    """

    def __init__(self, file: int, size: int) -> None:
        self._file = file
        self.size = size
        """Size of the whole file in bytes."""
        self.end = end_record(self.raw, size)
        """The end record, which says where the central directory lies."""
        entries = read_directory(self.raw, self.end).values()
        self.entries: Mapping[str, Entry] = {
            entry.name: entry for entry in located_entries(self.raw, entries, self.end)
        }
        """Every entry by name, in file order."""

    def raw(self, offset: int, length: int) -> bytes:
        """Return bytes of the file as they are. Raises `Rejected` if the file ends before."""
        data = os.pread(self._file, length, offset)
        while len(data) < length:
            more = os.pread(self._file, length - len(data), offset + len(data))
            if not more:
                raise damaged("it ends in the middle of an entry")
            data += more
        return data

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of one entry, inflated.

        Raises `Rejected` if it has more than ``limit`` bytes, counted while inflating, or does not match its
        CRC.
        """
        entry = self.entries[name]
        if entry.size > limit:
            raise Rejected(
                "entry_too_large",
                f"An entry that describes the build is larger than {limit // 1024} KiB. That is no ordinary "
                "build.",
            )
        return b"".join(self.chunks(entry))

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """Yield the entry's content, inflated, in pieces.

        Raises `Rejected` as soon as its header proves wrong.
        """
        crc = size = 0
        for piece in self._inflated(entry):
            size += len(piece)
            if size > entry.size:
                raise _lying_header(entry, "is larger than its header says")
            crc = zlib.crc32(piece, crc)
            yield piece
        if size != entry.size:
            raise _lying_header(entry, "is smaller than its header says")
        if crc != entry.crc:
            raise Rejected(
                "wrong_crc",
                f"The entry {entry.shown} is damaged: its CRC-32 does not match. Build it again, or upload "
                "the file again, whole.",
            )

    def _packed(self, entry: Entry) -> Iterator[bytes]:
        stop = entry.data_offset + entry.compressed_size
        for offset in range(entry.data_offset, stop, _BLOCK):
            yield self.raw(offset, min(stop - offset, _BLOCK))

    def _inflated(self, entry: Entry) -> Iterator[bytes]:
        if entry.is_stored:
            yield from self._packed(entry)
            return
        left = entry.compressed_size
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for fed in self._packed(entry):
                left -= len(fed)
                while fed:
                    yield inflater.decompress(fed, 4 * _BLOCK)
                    fed = inflater.unconsumed_tail
                    if inflater.eof and (left or inflater.unused_data):
                        raise _lying_header(entry, "ends before its header says")
            while not inflater.eof and (rest := inflater.decompress(b"", 4 * _BLOCK)):
                yield rest
        except zlib.error as error:
            raise damaged(f"the entry {entry.shown} can't be inflated") from error
        if not inflater.eof:
            raise damaged(f"the entry {entry.shown} is cut off")

    def check_size(self) -> None:
        """Raise `Rejected` if the archive unpacks to far more than any build does: a ZIP bomb."""
        total = sum(entry.size for entry in self.entries.values())
        if total > _MAX_INFLATED or (total > _SUSPICIOUS_SIZE and total > _SUSPICIOUS_RATIO * self.size):
            raise Rejected(
                "zip_bomb",
                f"The archive has {self.size:,} bytes and says that it unpacks to {total:,}. That is no "
                "build that a phone installs.",
            )

    def check_contents(self) -> None:
        """Inflate every entry and compare its size and CRC-32 with its header. Raises `Rejected`."""
        for entry in self.entries.values():
            for _ in self.chunks(entry):
                pass


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open the archive. Raises `Rejected` if it is none, is damaged, or can be read in two ways."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check_start(os.pread(file, 4, 0))
        archive = Archive(file, os.fstat(file).st_size)
        archive.check_size()
        yield archive
    finally:
        os.close(file)


def _check_start(start: bytes) -> None:
    if start[:3] == b"dex":
        raise Rejected(
            "prepended",
            "A DEX file stands in front of the archive: that is an attack on old phones (Janus). Build and "
            "sign it again.",
        )
    if start != _MAGIC:
        raise Rejected(
            "not_a_package",
            "This file is not an APK or IPA: it is not a ZIP archive. Upload the file that your build made.",
        )


def _lying_header(entry: Entry, what: str) -> Rejected:
    return Rejected(
        "lying_header", f"The entry {entry.shown} {what}. Build the file again with the ordinary tools."
    )
