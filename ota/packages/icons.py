"""Icons for our own pages, from images that nobody has vouched for. What leaves here is a small PNG that we made."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable

from PIL import Image

from ota.errors import Rejected
from ota.packages import cgbi

MAX_BYTES = 4 * 1024**2
MAX_SIDE = 2048
"""Pixels; so an image has at most 4 million. Larger ones are not decoded."""
BOMB_PIXELS = 100_000_000
"""An image that claims so many is an attack, not a mistake."""
SIDE = 192
"""Pixels of the PNG that is made, at most."""
_MAX_TRIED = 4
_MAX_SCANS = 64


def png_of(raw: bytes) -> bytes | None:
    """A PNG (RGBA, no metadata, at most 192 pixels a side) of a PNG, JPEG, WebP or Apple's CgBI; of an animation its start.

    None for what can't be decoded or is too large: an icon is decoration, and no build fails because of it. Raises `Rejected`
    for one of so many pixels that it was made to hurt whoever decodes it.
    """
    if len(raw) > MAX_BYTES:
        return None
    claimed = _claimed_size(raw)
    if claimed is not None and claimed[0] * claimed[1] > BOMB_PIXELS:
        raise Rejected(
            "huge_icon",
            f"The icon says that it has {claimed[0]:,} x {claimed[1]:,} pixels. No phone shows that; build with an ordinary icon.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks about damaged images are not for our log.
            image = _decoded(raw)
            return None if image is None else _encoded(image)
    except Exception:  # Pillow fails in many ways on hostile bytes; all of them mean the same here.
        return None


def best_of(raws: Iterable[bytes]) -> bytes | None:
    """`png_of` for the one of several PNGs that looks best: the smallest that need not be enlarged, else the largest."""
    ranked = sorted(raws, key=_rank)
    return next((png for raw in ranked[:_MAX_TRIED] if (png := png_of(raw)) is not None), None)


def _rank(raw: bytes) -> tuple[int, int]:
    side = min(cgbi.pixel_size(raw) or (0, 0))
    if side > MAX_SIDE:
        return 2, side
    return (0, side) if side >= SIDE else (1, -side)


def _decoded(raw: bytes) -> Image.Image | None:
    claimed = _claimed_size(raw)
    if claimed is not None and not _is_small(claimed):
        return None
    if cgbi.is_cgbi(raw):
        return None if claimed is None else cgbi.image_of(raw)
    # A JPEG may describe its pixels over and over, in a few bytes each time: hours of work in a small file.
    if raw.startswith(b"\xff\xd8") and raw.count(b"\xff\xda") > _MAX_SCANS:
        return None
    with Image.open(io.BytesIO(raw), formats=("PNG", "JPEG", "WEBP")) as image:
        return image.convert("RGBA") if _is_small(image.size) else None


def _claimed_size(raw: bytes) -> tuple[int, int] | None:
    """The size in the header of a PNG or WebP. Pillow makes room for a whole WebP when it opens one, before it can be asked."""
    if raw[:4] != b"RIFF":
        return cgbi.pixel_size(raw)
    kind = raw[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(raw[24:27], "little"), 1 + int.from_bytes(raw[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(raw[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(raw[26:28], "little") & 0x3FFF, int.from_bytes(raw[28:30], "little") & 0x3FFF


def _is_small(size: tuple[int, int]) -> bool:
    return all(0 < side <= MAX_SIDE for side in size)


def _encoded(image: Image.Image) -> bytes:
    small = image.convert("RGBA")
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    # Made anew from its pixels: Pillow would carry colour profiles and texts along.
    clean = Image.frombytes("RGBA", small.size, small.tobytes())
    target = io.BytesIO()
    clean.save(target, "PNG", optimize=True)
    return target.getvalue()
