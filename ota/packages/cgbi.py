"""Apple's own kind of PNG, into which Xcode turns the icons of a build.

Sources of the layout: the iPhone Development Wiki's page "CgBI file format", and the PNG specification. Three things differ
from PNG: a chunk ``CgBI`` stands first, the packed rows have no zlib wrapping, and colours are blue, green, red, multiplied
by alpha.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

MAX_SIDE = 1024
"""Pixels. Xcode writes no larger icon, and turning the colours round takes time."""
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">II5B")
_CHANNELS = {2: 3, 6: 4}
"""Bytes per pixel by colour type: RGB and RGBA, the only ones that Xcode writes."""


def is_cgbi(raw: bytes) -> bool:
    return raw.startswith(PNG_MAGIC) and raw[12:16] == b"CgBI"


def pixel_size(raw: bytes) -> tuple[int, int] | None:
    """Width and height that a PNG, Apple's or not, claims to have; None for anything else."""
    at = len(PNG_MAGIC)
    if is_cgbi(raw):
        at += 12 + int.from_bytes(raw[8:12], "big")
    if not raw.startswith(PNG_MAGIC) or raw[at + 4 : at + 8] != b"IHDR" or len(raw) < at + 16:
        return None
    return int.from_bytes(raw[at + 8 : at + 12], "big"), int.from_bytes(raw[at + 12 : at + 16], "big")


def image_of(raw: bytes) -> Image.Image | None:
    """The pixels, in RGB or RGBA; None for what is no such image, one that is interlaced, damaged or too large.

    May raise what Pillow raises for damaged rows.
    """
    plain = _as_png(raw)
    if plain is None:
        return None
    with Image.open(io.BytesIO(plain), formats=("PNG",)) as decoded:
        bands = decoded.split()
    blue, green, red, *alpha = bands
    if not alpha:
        return Image.merge("RGB", (red, green, blue))
    multiplied = Image.merge("RGBA", (red, green, blue, alpha[0]))
    return Image.frombytes("RGBa", multiplied.size, multiplied.tobytes()).convert("RGBA")


def _as_png(raw: bytes) -> bytes | None:
    """The same filtered rows as an ordinary PNG, so that Pillow undoes the filters; its colours are still Apple's."""
    header, packed = None, []
    for kind, data in _chunks(raw):
        if kind == b"IHDR" and header is None and len(data) == _HEADER.size:
            header = data
        elif kind == b"IDAT":
            packed.append(data)
    if header is None:
        return None
    width, height, depth, colours, _, _, interlaced = _HEADER.unpack(header)
    if depth != 8 or colours not in _CHANNELS or interlaced or max(width, height) > MAX_SIDE:
        return None
    expected = height * (1 + width * _CHANNELS[colours])
    try:
        rows = zlib.decompressobj(-zlib.MAX_WBITS).decompress(b"".join(packed), expected + 1)
    except zlib.error:
        return None
    if len(rows) != expected:
        return None
    return (
        PNG_MAGIC + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 0)) + _chunk(b"IEND", b"")
    )


def _chunks(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG_MAGIC)
    while at + 12 <= len(raw):
        size = int.from_bytes(raw[at : at + 4], "big")
        yield raw[at + 4 : at + 8], raw[at + 8 : at + 8 + size]
        at += 12 + size


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
