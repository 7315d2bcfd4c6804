"""Images for the tests: ordinary ones by Pillow, CgBI by an encoder that shares nothing with the reader."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from PIL import Image

Pixel = tuple[int, int, int, int]
MAGIC = b"\x89PNG\r\n\x1a\n"


def picture(
    width: int = 60, height: int = 60, color: Pixel = (200, 30, 60, 255), kind: str = "PNG", **more: Any
) -> bytes:
    """Return an image of one color in one of Pillow's formats."""
    image = Image.new("RGBA", (width, height), color)
    target = io.BytesIO()
    (image.convert("RGB") if kind == "JPEG" else image).save(target, kind, **more)
    return target.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int, depth: int = 8, colors: int = 6, interlaced: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">II5B", width, height, depth, colors, 0, 0, interlaced))


def cgbi(
    rows: Sequence[Sequence[Pixel]], filters: Sequence[int] = (0,), *, alpha: bool = True, chunks: int = 1
) -> bytes:
    """Return a CgBI of these pixels (RGBA, not multiplied by alpha). Rows take turns in using the filters."""
    packed = bytearray()
    width = 4 if alpha else 3
    before = bytes(width * len(rows[0]))
    for index, row in enumerate(rows):
        plain = b"".join(_apples(pixel, alpha=alpha) for pixel in row)
        kind = filters[index % len(filters)]
        packed.append(kind)
        packed += _filtered(kind, plain, before, width)
        before = plain
    deflater = zlib.compressobj(wbits=-15)
    data = deflater.compress(bytes(packed)) + deflater.flush()
    size = -(-len(data) // chunks)
    parts = b"".join(chunk(b"IDAT", data[start : start + size]) for start in range(0, len(data), size))
    mark = chunk(b"CgBI", b"\x50\x00\x20\x02")
    return (
        MAGIC + mark + header(len(rows[0]), len(rows), colors=6 if alpha else 2) + parts + chunk(b"IEND", b"")
    )


def _apples(pixel: Pixel, *, alpha: bool) -> bytes:
    red, green, blue, opacity = pixel
    if not alpha:
        return bytes((blue, green, red))
    return bytes([round(color * opacity / 255) for color in (blue, green, red)] + [opacity])


def _filtered(kind: int, row: bytes, above: bytes, width: int) -> bytes:
    """Filter a row as in section 9 of the PNG specification, which stores differences from a prediction."""
    found = bytearray()
    for index, value in enumerate(row):
        left = row[index - width] if index >= width else 0
        corner = above[index - width] if index >= width else 0
        up = above[index]
        guess = (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]
        found.append((value - guess) % 256)
    return bytes(found)


def _paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    return min(
        (abs(estimate - left), 0, left), (abs(estimate - up), 1, up), (abs(estimate - corner), 2, corner)
    )[2]
