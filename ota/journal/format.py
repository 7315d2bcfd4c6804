"""The format of a segment: records, then zeros.

A record is a head, with the payload's length and CRC-32, and the payload. Whether a file ends with zeros or
in the middle of a record (its writer was killed), it is read up to the last whole record. Counted records are
overwritten with zeros.
"""

from __future__ import annotations

import mmap
import struct
from zlib import crc32

SUFFIX = ".journal"
HEAD = struct.Struct("<II")
MAX_PAYLOAD = 64 * 1024


def record(payload: bytes) -> bytes:
    """Return the payload with its head. Raises `ValueError` if it is empty or larger than `MAX_PAYLOAD`."""
    if not 0 < len(payload) <= MAX_PAYLOAD:
        raise ValueError(f"a record holds 1 to {MAX_PAYLOAD} bytes, not {len(payload)}")
    return HEAD.pack(len(payload), crc32(payload)) + payload


def payload_at(segment: bytes | mmap.mmap, position: int) -> bytes | None:
    """Return the payload of the record at this position, or None if no whole record starts there."""
    start = position + HEAD.size
    if start > len(segment):
        return None
    length, checksum = HEAD.unpack_from(segment, position)
    if not 0 < length <= MAX_PAYLOAD:
        return None
    payload = segment[start : start + length]
    if len(payload) != length or crc32(payload) != checksum:
        return None
    return payload
