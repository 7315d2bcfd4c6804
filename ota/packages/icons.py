"""Icons from untrusted images. The result is always a small PNG that is encoded here."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable

from PIL import Image

from ota.errors import Rejected
from ota.packages import cgbi

MAX_BYTES = 4 * 1024**2
MAX_SIDE = 2048
"""Pixels. Images with a longer side are not decoded."""
_BOMB_PIXELS = 100_000_000
"""An image that claims more pixels than this is an attack, not a mistake."""
_SIDE = 192
"""Longest side of the resulting PNG in pixels."""
_MAX_TRIED = 4
_MAX_SCANS = 64


def png_of(raw: bytes) -> bytes | None:
    """Re-encode a PNG, JPEG, WebP or CgBI as a PNG: RGBA, no metadata, at most 192 pixels a side.

    Of an animation the first frame is taken. Returns None if the image can't be decoded or is too large,
    since an icon is decoration and no reason to reject a build. Raises `Rejected` for a decompression bomb.
    """
    if len(raw) > MAX_BYTES:
        return None
    claimed = _claimed_size(raw)
    if claimed is not None and claimed[0] * claimed[1] > _BOMB_PIXELS:
        raise Rejected(
            "huge_icon",
            f"The icon says that it has {claimed[0]:,} x {claimed[1]:,} pixels. No phone shows that; build "
            "with an ordinary icon.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keeps Pillow's warnings about damaged images out of the log.
            image = _decoded(raw)
            return None if image is None else _encoded(image)
    except Exception:  # Pillow raises many types for hostile bytes.
        return None


def best_of(raws: Iterable[bytes]) -> bytes | None:
    """Return `png_of` for the best of several PNGs: the smallest that is not too small, else the largest."""
    ranked = sorted(raws, key=_rank)
    return next((png for raw in ranked[:_MAX_TRIED] if (png := png_of(raw)) is not None), None)


def _rank(raw: bytes) -> tuple[int, int]:
    side = min(cgbi.pixel_size(raw) or (0, 0))
    if side > MAX_SIDE:
        return 2, side
    return (0, side) if side >= _SIDE else (1, -side)


def _decoded(raw: bytes) -> Image.Image | None:
    claimed = _claimed_size(raw)
    if claimed is not None and not _is_small(claimed):
        return None
    if cgbi.is_cgbi(raw):
        return None if claimed is None else cgbi.image_of(raw)
    # A progressive JPEG can repeat its scans at a few bytes each: hours of work in a small file.
    if raw.startswith(b"\xff\xd8") and raw.count(b"\xff\xda") > _MAX_SCANS:
        return None
    with Image.open(io.BytesIO(raw), formats=("PNG", "JPEG", "WEBP")) as image:
        return image.convert("RGBA") if _is_small(image.size) else None


def _claimed_size(raw: bytes) -> tuple[int, int] | None:
    """Return the size in the header of a PNG or WebP.

    A WebP is read here since Pillow allocates the whole image on opening one, before its size is known.
    """
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
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    # Rebuilt from its pixels, since Pillow would keep color profiles and texts.
    clean = Image.frombytes("RGBA", small.size, small.tobytes())
    target = io.BytesIO()
    clean.save(target, "PNG", optimize=True)
    return target.getvalue()
