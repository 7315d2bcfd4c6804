"""The layout of an archive: its entries lie where the directory says, with no unexplained bytes between."""

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
_BLOCK_MAGIC = b"APK Sig Block 42"


def located_entries(raw: Raw, entries: Iterable[Entry], end: End) -> Iterator[Entry]:
    """Compare each entry with its local header and yield it with its ``data_offset``, in file order.

    Raises `Rejected` if a header disagrees, entries overlap, or bytes between them are neither zeros nor
    empty filler entries.
    """
    reached = 0
    for entry in sorted(entries, key=lambda each: each.header_offset):
        if entry.header_offset < reached:
            raise Rejected(
                "ambiguous_archive",
                f"The entry {entry.shown} overlaps another one. Build the file again with the ordinary "
                "tools.",
            )
        _check_gap(raw, reached, entry.header_offset)
        data_offset = _data_offset(raw, entry, end)
        reached = _after_descriptor(raw, entry, data_offset + entry.compressed_size, end)
        yield replace(entry, data_offset=data_offset)
    block = signing_block_start(raw, end)
    _check_gap(raw, reached, end.directory_offset if block is None else block)


def signing_block_start(raw: Raw, end: End) -> int | None:
    """Return the offset of the APK Signing Block right before the directory, or None if there is none.

    Raises `Rejected` if the block's two sizes differ, since which one counts depends on the reader.
    """
    if end.directory_offset < 32 or raw(end.directory_offset - 16, 16) != _BLOCK_MAGIC:
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
    """Return where the entry's data starts.

    Raises `Rejected` if the local header disagrees with the entry.
    """
    start = entry.header_offset
    if start + _LOCAL.size > end.directory_offset:
        raise _disagreement(entry)
    # One read gets most headers with their name and alignment.
    ahead = raw(start, min(_LOOK_AHEAD, end.directory_offset - start))
    magic, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack_from(ahead)
    data: int = start + _LOCAL.size + name_size + extra_size
    stop: int = data + entry.compressed_size
    if magic != _MAGIC or stop > end.directory_offset:
        raise _disagreement(entry)
    name = ahead[_LOCAL.size : _LOCAL.size + name_size]
    if len(name) < name_size:
        name = raw(start + _LOCAL.size, name_size)
    if (name, flags, method) != (entry.raw_name, entry.flags, entry.method):
        raise _disagreement(entry)
    sizes = (crc, packed, size)
    is_left_to_descriptor = entry.has_descriptor and sizes == (0, 0, 0)
    if not is_left_to_descriptor and sizes != (entry.crc, entry.compressed_size, entry.size):
        raise _disagreement(entry)
    return data


def _after_descriptor(raw: Raw, entry: Entry, at: int, end: End) -> int:
    """Return the offset after the data descriptor at ``at``, or ``at`` if the entry has none."""
    if not entry.has_descriptor:
        return at
    values = struct.pack("<3I", entry.crc, entry.compressed_size, entry.size)
    found = raw(at, min(16, end.directory_offset - at))
    for descriptor in (_DESCRIPTOR_MAGIC + values, values):
        if found.startswith(descriptor):
            return at + len(descriptor)
    is_in_header = raw(entry.header_offset + 14, 12) == values
    if is_in_header and (not found or found.startswith((_MAGIC, b"PK\x01\x02"))):
        return at  # Some tools set the flag but write the values into the header and no descriptor.
    raise _disagreement(entry)


def _check_gap(raw: Raw, start: int, stop: int) -> None:
    """Raise `Rejected` unless the gap holds only zeros or empty filler entries.

    Zeros align entries. Android's build tools leave an entry without name or data where they removed one.
    """
    if stop < start:
        raise Rejected(
            "ambiguous_archive",
            "The archive's last entry overlaps what follows it. Build the file again with the ordinary "
            "tools.",
        )
    if stop - start > _MAX_GAP:
        raise _unexplained(start)
    gap, at = raw(start, stop - start), 0
    while gap.startswith(_MAGIC, at) and at + _LOCAL.size <= len(gap):
        *_, crc, packed, size, name_size, extra_size = _LOCAL.unpack_from(gap, at)
        extra = gap[at + _LOCAL.size : at + _LOCAL.size + extra_size]
        if crc or packed or size or name_size or extra.strip(b"\0"):
            raise _unexplained(start)
        at += _LOCAL.size + extra_size
    if gap[at:].strip(b"\0") or (start == 0 and at < len(gap)):
        raise _unexplained(start)


def _unexplained(start: int) -> Rejected:
    if start == 0:
        return Rejected(
            "prepended",
            "Bytes stand in front of the archive's first entry. Build the file again; nothing may be added "
            "to it.",
        )
    return Rejected(
        "hidden_bytes",
        "Bytes that belong to no entry lie inside the archive. Build the file again with the ordinary tools.",
    )


def _disagreement(entry: Entry) -> Rejected:
    return Rejected(
        "lying_header",
        f"The entry {entry.shown} is described differently by its own header and the archive's directory. "
        "Build the file again.",
    )
