"""The end record and the central directory of a ZIP archive, with every byte accounted for."""

from __future__ import annotations

import stat
import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from ota.errors import Rejected
from ota.packages.facts import clean_text

_MAX_DIRECTORY_BYTES = 64 * 1024**2

Raw = Callable[[int, int], bytes]
"""Reads bytes of the file: (offset, length) -> bytes."""

_END = struct.Struct("<4s4H2IH")
_END_MAGIC = b"PK\x05\x06"
_ZIP64_MAGIC = b"PK\x06\x07"
# Skips the magic, the needed version, the time and date, and the internal attributes.
_HEADER = struct.Struct("<4xH2xHH4x3I4H2x2I")
_MAGIC = b"PK\x01\x02"
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_HAS_DESCRIPTOR = 0x0008
_UNIX = 3


@dataclass(frozen=True, slots=True)
class End:
    """The end record. Offsets and sizes are in bytes; the record itself lies at ``offset``."""

    offset: int
    directory_offset: int
    directory_size: int
    count: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, on which the directory and its local header agree.

    Its (packed) data starts at ``data_offset``.
    """

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    compressed_size: int
    size: int
    header_offset: int
    data_offset: int = 0

    @property
    def is_stored(self) -> bool:
        return self.method == _STORED

    @property
    def has_descriptor(self) -> bool:
        return bool(self.flags & _HAS_DESCRIPTOR)

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")

    @property
    def shown(self) -> str:
        """The name for messages, shortened and without control characters, since it is hostile text."""
        return repr((clean_text(self.name) or "")[:80])


def end_record(raw: Raw, size: int) -> End:
    """Find the end record in a file of ``size`` bytes.

    Raises `Rejected` if none lies at the very end, if there is more than one, or if the archive needs ZIP64.
    """
    tail_size = min(size, _END.size + 0xFFFF)
    tail = raw(size - tail_size, tail_size)
    at = _find_end(tail)
    if at is None:
        raise _without_end(tail)
    end = _parsed_end(tail, at, size - tail_size)
    # Another reader could believe a second end record inside the directory or the comment.
    if raw(end.directory_offset, size - end.directory_offset).count(_END_MAGIC) > 1:
        raise Rejected(
            "ambiguous_archive",
            "The archive has two end records, so that it can be read in two ways. Build the file again.",
        )
    return end


def _without_end(tail: bytes) -> Rejected:
    if _END_MAGIC in tail:
        return Rejected(
            "trailing_bytes",
            "Bytes stand after the end of the archive. Build the file again; nothing may be added to it.",
        )
    return damaged("its directory is missing")


def _parsed_end(tail: bytes, at: int, tail_start: int) -> End:
    _, disk, first_disk, here, count, directory_size, directory_offset, _ = _END.unpack_from(tail, at)
    end = End(tail_start + at, directory_offset, directory_size, count)
    has_zip64 = tail[max(0, at - 20) : at][:4] == _ZIP64_MAGIC
    if has_zip64 or 0xFFFF in (here, count) or 0xFFFFFFFF in (directory_size, directory_offset):
        raise Rejected(
            "too_many_entries",
            "The archive needs ZIP64: more than 65,534 entries, or 4 GiB. Phones can't install such a build; "
            "make it smaller.",
        )
    if disk or first_disk or here != count or end.directory_offset + end.directory_size != end.offset:
        raise Rejected(
            "ambiguous_archive",
            "The archive's end record does not fit its directory. Build the file again with the ordinary "
            "tools.",
        )
    if directory_size > _MAX_DIRECTORY_BYTES:
        raise Rejected(
            "too_many_entries",
            "The archive's directory is larger than 64 MiB. That is no build that a phone installs.",
        )
    return end


def _find_end(tail: bytes) -> int | None:
    """Return the offset of the last end record whose comment ends exactly where the file does."""
    at = tail.rfind(_END_MAGIC)
    while at >= 0:
        comment_size = int.from_bytes(tail[at + 20 : at + 22], "little")
        if at + _END.size <= len(tail) and at + _END.size + comment_size == len(tail):
            return at
        at = tail.rfind(_END_MAGIC, 0, at + 3) if at else -1
    return None


def read_directory(raw: Raw, end: End) -> dict[str, Entry]:
    """Return every entry by name.

    Raises `Rejected` for a name, flag or compression that no build has, and for names that collide.
    """
    data = raw(end.directory_offset, end.directory_size)
    found: dict[str, Entry] = {}
    identities: set[str] = set()
    at = 0
    for _ in range(end.count):
        entry, at = _entry(data, at)
        identity = _identity(entry.name)
        if entry.name in found or identity in identities:
            raise Rejected(
                "duplicate_entry",
                f"The archive has two entries named {entry.shown}. Which one counts differs by reader; "
                "build the file again.",
            )
        found[entry.name] = entry
        identities.add(identity)
    if at != len(data):
        raise Rejected(
            "ambiguous_archive",
            "The archive's directory holds more than its end record says. Build the file again.",
        )
    return found


def _entry(data: bytes, at: int) -> tuple[Entry, int]:
    """Return the entry at this offset of the directory, and the offset after it."""
    if at + _HEADER.size > len(data) or data[at : at + 4] != _MAGIC:
        raise damaged("its directory can't be read")
    made_by, flags, method, crc, packed, size, *rest = _HEADER.unpack_from(data, at)
    name_size, extra_size, comment_size, disk, attributes, offset = rest
    name_start = at + _HEADER.size
    raw_name = data[name_start : name_start + name_size]
    entry = Entry(_decoded(raw_name), raw_name, flags, method, crc, packed, size, offset)
    stop = name_start + name_size + extra_size + comment_size
    if stop > len(data) or disk:
        raise damaged("its directory can't be read")
    _check_compression(entry)
    _check_sizes(entry)
    if made_by >> 8 == _UNIX and stat.S_ISLNK(attributes >> 16):
        raise Rejected(
            "symbolic_link",
            f"The entry {entry.shown} is a symbolic link, which no build needs. Build the file without it.",
        )
    _check_name(entry)
    return entry, stop


def _check_compression(entry: Entry) -> None:
    if entry.flags & _ENCRYPTED:
        raise Rejected(
            "encrypted_entry",
            f"The entry {entry.shown} is encrypted, which phones can't read. Build the file without a "
            "password.",
        )
    if entry.method not in {_STORED, _DEFLATED}:
        raise Rejected(
            "odd_compression",
            "The archive is compressed in a way that phones can't read. Build it with the ordinary tools.",
        )


def _check_sizes(entry: Entry) -> None:
    if 0xFFFFFFFF in (entry.size, entry.compressed_size, entry.header_offset):
        raise Rejected(
            "lying_header",
            f"The entry {entry.shown} says that it is 4 GiB or larger, which no phone installs.",
        )
    if entry.is_stored and entry.size != entry.compressed_size:
        raise Rejected(
            "lying_header",
            f"The entry {entry.shown} is stored, but its two sizes differ. Build the file again.",
        )


def _check_name(entry: Entry) -> None:
    first, *rest = entry.name.replace("\\", "/").split("/")
    is_absolute = first == "" or (len(first) == 2 and first[1] == ":")
    if is_absolute or "\0" in entry.name or ".." in (first, *rest):
        raise Rejected(
            "unsafe_name",
            f"The archive has an entry named {entry.shown}, which points outside it. Build the file again.",
        )


def _decoded(raw_name: bytes) -> str:
    try:
        return raw_name.decode()
    except UnicodeDecodeError as error:
        raise Rejected(
            "unsafe_name",
            "An entry's name is not UTF-8, which phones expect. Build the file with the ordinary tools.",
        ) from error


def _identity(name: str) -> str:
    """Return the form in which some reader would consider two names the same.

    Below ``res/`` case counts: Android's build tools shorten resource paths to names such as ``res/aB.xml``
    and ``res/Ab.xml``, and files there are found only by their exact names.
    """
    normal = unicodedata.normalize("NFC", name)
    return normal if normal.startswith("res/") else normal.casefold()


def damaged(what: str) -> Rejected:
    """Return the error for bytes that are cut off or not in the format.

    ``what`` is a clause for the message.
    """
    return Rejected(
        "damaged_archive", f"The archive is cut off or damaged: {what}. Upload the file again, whole."
    )
