"""The end record and central directory of a ZIP archive, each byte accounted for."""

from __future__ import annotations

import stat
import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from ota.errors import Rejected
from ota.packages.facts import clean_text

MAX_DIRECTORY_BYTES = 64 * 1024**2

Raw = Callable[[int, int], bytes]
"""(offset, length) -> bytes of the file."""

_END = struct.Struct("<4s4H2IH")
_END_MAGIC = b"PK\x05\x06"
_ZIP64_MAGIC = b"PK\x06\x07"
_HEADER = struct.Struct("<4s6H3I5H2I")
_MAGIC = b"PK\x01\x02"
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
HAS_DESCRIPTOR = 0x0008
_UNIX = 3


@dataclass(frozen=True, slots=True)
class End:
    """Offsets and sizes in bytes. The end record itself lies at ``offset``."""

    offset: int
    directory_offset: int
    directory_size: int
    count: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as the directory and its local header agree on it. ``data_offset`` is where its (packed) bytes start."""

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
        return bool(self.flags & HAS_DESCRIPTOR)

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")

    @property
    def shown(self) -> str:
        """The name for a sentence: hostile text, shortened."""
        return repr((clean_text(self.name) or "")[:80])


def end_record(raw: Raw, size: int) -> End:
    """The one end record. Raises `Rejected` when there is none at the very end, or more than one."""
    tail_size = min(size, _END.size + 0xFFFF)
    tail_start = size - tail_size
    tail = raw(tail_start, tail_size)
    at = _find_end(tail)
    if at is None:
        if _END_MAGIC in tail:
            raise Rejected(
                "trailing_bytes",
                "Bytes stand after the end of the archive. Build the file again; nothing may be added to it.",
            )
        raise Rejected(
            "damaged_archive",
            "The archive is cut off or damaged: its directory is missing. Upload the file again, whole.",
        )
    _, disk, first_disk, here, count, directory_size, directory_offset, _ = _END.unpack_from(tail, at)
    end = End(tail_start + at, directory_offset, directory_size, count)
    if (
        0xFFFF in (here, count)
        or 0xFFFFFFFF in (directory_size, directory_offset)
        or tail[max(0, at - 20) : at][:4] == _ZIP64_MAGIC
    ):
        raise Rejected(
            "too_many_entries",
            "The archive needs ZIP64: more than 65,534 entries, or 4 GiB. Phones can't install such a build; make it smaller.",
        )
    if disk or first_disk or here != count or end.directory_offset + end.directory_size != end.offset:
        raise Rejected(
            "ambiguous_archive",
            "The archive's end record does not fit its directory. Build the file again with the ordinary tools.",
        )
    if directory_size > MAX_DIRECTORY_BYTES:
        raise Rejected(
            "too_many_entries",
            "The archive's directory is larger than 64 MiB. That is no build that a phone installs.",
        )
    # A second one inside the directory or the comment: another reader might believe that one.
    behind = raw(directory_offset, size - directory_offset)
    if behind.count(_END_MAGIC) > 1:
        raise Rejected(
            "ambiguous_archive",
            "The archive has two end records, so that it can be read in two ways. Build the file again.",
        )
    return end


def _find_end(tail: bytes) -> int | None:
    at = tail.rfind(_END_MAGIC)
    while at >= 0:
        if at + _END.size <= len(tail) and at + _END.size + int.from_bytes(
            tail[at + 20 : at + 22], "little"
        ) == len(tail):
            return at
        at = tail.rfind(_END_MAGIC, 0, at + 3) if at else -1
    return None


def read_directory(raw: Raw, end: End) -> dict[str, Entry]:
    """Every entry by name. Raises `Rejected` for a name, flag or method that no build has, and for names that collide."""
    data = raw(end.directory_offset, end.directory_size)
    found: dict[str, Entry] = {}
    folded: dict[str, str] = {}
    at = 0
    for _ in range(end.count):
        entry, at = _entry(data, at)
        key = _identity(entry.name)
        if entry.name in found or key in folded:
            raise Rejected(
                "duplicate_entry",
                f"The archive has two entries named {entry.shown}. Which one counts differs by reader; build the file again.",
            )
        found[entry.name] = entry
        folded[key] = entry.name
    if at != len(data):
        raise Rejected(
            "ambiguous_archive",
            "The archive's directory holds more than its end record says. Build the file again.",
        )
    return found


def _entry(data: bytes, at: int) -> tuple[Entry, int]:
    if at + _HEADER.size > len(data) or data[at : at + 4] != _MAGIC:
        raise Rejected(
            "damaged_archive",
            "The archive is cut off or damaged: its directory can't be read. Upload the file again, whole.",
        )
    fields = _HEADER.unpack_from(data, at)
    (
        _,
        made_by,
        _,
        flags,
        method,
        _,
        _,
        crc,
        packed,
        size,
        name_size,
        extra_size,
        comment_size,
        disk,
        _,
        attributes,
        offset,
    ) = fields
    stop = at + _HEADER.size + name_size + extra_size + comment_size
    raw_name = data[at + _HEADER.size : at + _HEADER.size + name_size]
    entry = Entry(_decoded(raw_name), raw_name, flags, method, crc, packed, size, offset)
    if stop > len(data) or disk:
        raise Rejected(
            "damaged_archive",
            "The archive is cut off or damaged: its directory can't be read. Upload the file again, whole.",
        )
    _check(entry, is_link=made_by >> 8 == _UNIX and stat.S_ISLNK(attributes >> 16))
    return entry, stop


def _check(entry: Entry, *, is_link: bool) -> None:
    if entry.flags & _ENCRYPTED:
        raise Rejected(
            "encrypted_entry",
            f"The entry {entry.shown} is encrypted, which phones can't read. Build the file without a password.",
        )
    if entry.method not in {_STORED, _DEFLATED}:
        raise Rejected(
            "odd_compression",
            "The archive is compressed in a way that phones can't read. Build it with the ordinary tools.",
        )
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
    if is_link:
        raise Rejected(
            "symbolic_link",
            f"The entry {entry.shown} is a symbolic link, which no build needs. Build the file without it.",
        )
    parts = entry.name.replace("\\", "/").split("/")
    if (
        not entry.name
        or "\0" in entry.name
        or parts[0] == ""
        or ".." in parts
        or (len(parts[0]) == 2 and parts[0][1] == ":")
    ):
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
    """What makes two names the same to somebody.

    Below ``res/`` capitals count: Android's own build tools shorten resource paths to names such as ``res/aB.xml`` beside
    ``res/Ab.xml``, and nothing there is found by anything but its exact name.
    """
    normal = unicodedata.normalize("NFC", name)
    return normal if normal.startswith("res/") else normal.casefold()
