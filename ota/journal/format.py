"""The form of a segment: records one after the other, then zeros.

A record is a head, which has the length of its payload and the payload's CRC-32, and the payload. A file that ends with zeros and one that
ends in the middle of a record, because its writer was killed there, are both read up to the last whole record. Zeros stand in the place of
what was counted.
"""

from __future__ import annotations

import mmap
import struct
from zlib import crc32

SUFFIX = ".journal"
HEAD = struct.Struct("<II")
MAX_PAYLOAD = 64 * 1024


def record(payload: bytes) -> bytes:
    """The payload with its head. Raises `ValueError` for an empty one and one above `MAX_PAYLOAD`."""
    if not 0 < len(payload) <= MAX_PAYLOAD:
        raise ValueError(f"a record holds 1 to {MAX_PAYLOAD} bytes, not {len(payload)}")
    return HEAD.pack(len(payload), crc32(payload)) + payload


def payload_at(segment: bytes | mmap.mmap, position: int) -> bytes | None:
    """The whole payload of the record that begins there; None where none does."""
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
