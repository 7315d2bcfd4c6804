"""Do the entries lie in the file as the directory says, with nothing unexplained between them?"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ota.errors import Rejected
from ota.packages.directory import End, Entry, Raw

_LOCAL = struct.Struct("<4s5H3I2H")
_MAGIC = b"PK\x03\x04"
_DESCRIPTOR_MAGIC = b"PK\x07\x08"
_LOOK_AHEAD = 512
_MAX_GAP = 16 * 1024**2
BLOCK_MAGIC = b"APK Sig Block 42"


def located(raw: Raw, entries: Iterable[Entry], end: End) -> Iterator[Entry]:
    """The entries in the order of the file, each with its ``data_offset``, after a comparison with its local header.

    Raises `Rejected` when a header disagrees, entries overlap, or bytes lie between
    them that are neither zeros nor empty filler entries.
    """
    reached = 0
    for entry in sorted(entries, key=lambda each: each.header_offset):
        if entry.header_offset < reached:
            raise Rejected(
                "ambiguous_archive",
                f"The entry {entry.shown} overlaps another one. Build the file again with the ordinary tools.",
            )
        _check_gap(raw, reached, entry.header_offset)
        data_offset = _data_offset(raw, entry, end)
        reached = _after_descriptor(raw, entry, data_offset + entry.compressed_size, end)
        yield replace(entry, data_offset=data_offset)
    block = signing_block_start(raw, end)
    _check_gap(raw, reached, end.directory_offset if block is None else block)


def signing_block_start(raw: Raw, end: End) -> int | None:
    """Where the APK Signing Block starts that lies right before the directory; None when there is none.

    Raises `Rejected` for a block whose two sizes differ: which one counts depends on the reader.
    """
    if end.directory_offset < 32 or raw(end.directory_offset - 16, 16) != BLOCK_MAGIC:
        return None
    size = int.from_bytes(raw(end.directory_offset - 24, 8), "little")
    start = end.directory_offset - size - 8
    if size < 24 or start < 0 or int.from_bytes(raw(start, 8), "little") != size:
        raise Rejected(
            "bad_signature",
            "The APK's signing block is damaged: its two sizes differ. Build and sign it again.",
        )
    return start


def _data_offset(raw: Raw, entry: Entry, end: End) -> int:
    start = entry.header_offset
    if start + _LOCAL.size > end.directory_offset:
        raise _disagreement(entry)
    # Most headers, with their name and alignment, come in one read.
    ahead = raw(start, min(_LOOK_AHEAD, end.directory_offset - start))
    magic, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack_from(ahead)
    data: int = start + _LOCAL.size + name_size + extra_size
    stop: int = data + entry.compressed_size
    if magic != _MAGIC or stop > end.directory_offset:
        raise _disagreement(entry)
    name = ahead[_LOCAL.size : _LOCAL.size + name_size]
    if len(name) < name_size:
        name = raw(start + _LOCAL.size, name_size)
    said, known = (crc, packed, size), (entry.crc, entry.compressed_size, entry.size)
    is_silent = entry.has_descriptor and said == (0, 0, 0)
    if (
        name != entry.raw_name
        or (flags, method) != (entry.flags, entry.method)
        or not (said == known or is_silent)
    ):
        raise _disagreement(entry)
    return data


def _after_descriptor(raw: Raw, entry: Entry, at: int, end: End) -> int:
    if not entry.has_descriptor:
        return at
    values = struct.pack("<3I", entry.crc, entry.compressed_size, entry.size)
    found = raw(at, min(16, end.directory_offset - at))
    for descriptor in (_DESCRIPTOR_MAGIC + values, values):
        if found.startswith(descriptor):
            return at + len(descriptor)
    is_told_before = raw(entry.header_offset + 14, 12) == values
    if is_told_before and (not found or found.startswith((_MAGIC, b"PK\x01\x02"))):
        return at  # Some tools set the flag and write no descriptor; the header itself has told all.
    raise _disagreement(entry)


def _check_gap(raw: Raw, start: int, stop: int) -> None:
    """Zeros for alignment, or filler entries without name or bytes (Android's build tools leave them where one was)."""
    if stop < start:
        raise Rejected(
            "ambiguous_archive",
            "The archive's last entry overlaps what follows it. Build the file again with the ordinary tools.",
        )
    if stop - start > _MAX_GAP:
        raise _unexplained(start)
    gap, at = raw(start, stop - start), 0
    while gap.startswith(_MAGIC, at) and at + _LOCAL.size <= len(gap):
        *_, crc, packed, size, name_size, extra_size = _LOCAL.unpack_from(gap, at)
        filling = gap[at + _LOCAL.size : at + _LOCAL.size + extra_size]
        if crc or packed or size or name_size or filling.strip(b"\0"):
            raise _unexplained(start)
        at += _LOCAL.size + extra_size
    if gap[at:].strip(b"\0") or (start == 0 and at < len(gap)):
        raise _unexplained(start)


def _unexplained(start: int) -> Rejected:
    if start == 0:
        return Rejected(
            "prepended",
            "Bytes stand in front of the archive's first entry. Build the file again; nothing may be added to it.",
        )
    return Rejected(
        "hidden_bytes",
        "Bytes that belong to no entry lie inside the archive. Build the file again with the ordinary tools.",
    )


def _disagreement(entry: Entry) -> Rejected:
    return Rejected(
        "lying_header",
        f"The entry {entry.shown} is described differently by its own header and the archive's directory. Build the file again.",
    )
