"""CgBI, Apple's variant of PNG, into which Xcode converts the icons of a build.

It differs from PNG in three points: a ``CgBI`` chunk comes first, the packed rows have no zlib header, and
the color channels are in the order blue, green, red and multiplied by alpha. Sources of the format: the page
"CgBI file format" of the iPhone Development Wiki, and the PNG specification.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

MAX_SIDE = 1024
"""Pixels. Xcode writes no larger icons, and reordering the channels takes time."""
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">II5B")
_CHANNELS = {2: 3, 6: 4}
"""Bytes per pixel by color type: RGB and RGBA, the only ones that Xcode writes."""


def is_cgbi(raw: bytes) -> bool:
    return raw.startswith(PNG_MAGIC) and raw[12:16] == b"CgBI"


def pixel_size(raw: bytes) -> tuple[int, int] | None:
    """Return the width and height that a PNG or CgBI claims to have; None for anything else."""
    at = len(PNG_MAGIC)
    if is_cgbi(raw):
        at += 12 + int.from_bytes(raw[8:12], "big")
    if not raw.startswith(PNG_MAGIC) or raw[at + 4 : at + 8] != b"IHDR" or len(raw) < at + 16:
        return None
    return int.from_bytes(raw[at + 8 : at + 12], "big"), int.from_bytes(raw[at + 12 : at + 16], "big")


def image_of(raw: bytes) -> Image.Image | None:
    """Decode a CgBI to RGB or RGBA. Returns None if it is none, or is interlaced, damaged or too large.

    Damaged rows can raise any exception of Pillow.
    """
    plain = _as_png(raw)
    if plain is None:
        return None
    with Image.open(io.BytesIO(plain), formats=("PNG",)) as decoded:
        blue, green, red, *alpha = decoded.split()
    if not alpha:
        return Image.merge("RGB", (red, green, blue))
    multiplied = Image.merge("RGBA", (red, green, blue, alpha[0]))
    return Image.frombytes("RGBa", multiplied.size, multiplied.tobytes()).convert("RGBA")


def _as_png(raw: bytes) -> bytes | None:
    """Wrap the filtered rows in an ordinary PNG, for Pillow to undo the filters.

    Its channels are still Apple's.
    """
    headers = [data for kind, data in _chunks(raw) if kind == b"IHDR" and len(data) == _HEADER.size]
    packed = b"".join(data for kind, data in _chunks(raw) if kind == b"IDAT")
    rows = _rows(headers[0], packed) if headers else None
    if rows is None:
        return None
    parts = ((b"IHDR", headers[0]), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b""))
    return PNG_MAGIC + b"".join(_chunk(kind, data) for kind, data in parts)


def _rows(header: bytes, packed: bytes) -> bytes | None:
    """Inflate the filtered rows, never to more bytes than the header promises."""
    width, height, depth, color_type, _, _, interlaced = _HEADER.unpack(header)
    if depth != 8 or color_type not in _CHANNELS or interlaced or max(width, height) > MAX_SIDE:
        return None
    expected = height * (1 + width * _CHANNELS[color_type])
    try:
        rows = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, expected + 1)
    except zlib.error:
        return None
    return rows if len(rows) == expected else None


def _chunks(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG_MAGIC)
    while at + 12 <= len(raw):
        size = int.from_bytes(raw[at : at + 4], "big")
        yield raw[at + 4 : at + 8], raw[at + 8 : at + 8 + size]
        at += 12 + size


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
