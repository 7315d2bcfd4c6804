"""Icons: untrusted images become a small, re-encoded PNG, or nothing."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from ota.errors import Rejected
from ota.packages import cgbi as converter
from ota.packages.icons import MAX_BYTES, MAX_SIDE, best_of, png_of
from tests.builders.images import MAGIC, Pixel, cgbi, chunk, header, picture

# Multiplied by alpha these are whole numbers, so the conversion loses nothing.
ROWS: list[list[Pixel]] = [
    [
        (
            50 * (x % 6),
            5 * ((7 * x + 3 * y) % 52),
            5 * ((x * y) % 52),
            (0, 51, 102, 153, 204, 255)[(x + y) % 6],
        )
        for x in range(23)
    ]
    for y in range(11)
]


def opened(png: bytes | None) -> Image.Image:
    assert png is not None
    image = Image.open(io.BytesIO(png))
    image.load()
    return image


def pixels_of(image: Image.Image) -> list[Pixel]:
    """Return the pixels. Invisible ones are black, since their color doesn't count."""
    data = image.convert("RGBA").tobytes()
    pixels = [struct.unpack("4B", data[at : at + 4]) for at in range(0, len(data), 4)]
    return [pixel if pixel[3] else (0, 0, 0, 0) for pixel in pixels]


def flat(rows: list[list[Pixel]]) -> list[Pixel]:
    return [pixel if pixel[3] else (0, 0, 0, 0) for row in rows for pixel in row]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_each_format_becomes_a_png_with_the_same_picture(kind: str) -> None:
    image = opened(png_of(picture(64, 32, (200, 30, 60, 255), kind)))
    assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (64, 32))
    found = image.getpixel((40, 20))
    assert isinstance(found, tuple)
    assert all(abs(a - b) < 6 for a, b in zip(found, (200, 30, 60, 255), strict=True))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_each_kind_of_png_is_understood(mode: str) -> None:
    target = io.BytesIO()
    Image.new(mode, (20, 20)).save(target, "PNG")
    assert opened(png_of(target.getvalue())).size == (20, 20)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1024, 1024), (192, 192)), ((1000, 500), (192, 96)), ((2000, 1), (192, 1)), ((60, 60), (60, 60))],
)
def test_large_images_become_small_and_small_ones_stay(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert opened(png_of(picture(*size))).size == expected


def test_transparency_survives() -> None:
    found = pixels_of(opened(png_of(picture(400, 400, (10, 200, 30, 128)))))[5000]
    assert all(abs(a - b) <= 1 for a, b in zip(found, (10, 200, 30, 128), strict=True))


def test_texts_and_color_profiles_do_not_come_along() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "secret words")
    texts.add_itxt("Author", "secret person")
    png = png_of(
        picture(pnginfo=texts, icc_profile=b"secret colors", dpi=(72, 72), exif=b"Exif\0\0secret place")
    )
    assert opened(png).info == {}
    assert png is not None
    assert b"secret" not in png


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGBA", (30, 30), color) for color in ((255, 0, 0, 255), (0, 255, 0, 255))]
    for kind in ("PNG", "WEBP"):
        target = io.BytesIO()
        frames[0].save(target, kind, save_all=True, append_images=frames[1:], lossless=True)
        image = opened(png_of(target.getvalue()))
        assert image.getpixel((10, 10)) == (255, 0, 0, 255)
        assert getattr(image, "n_frames", 1) == 1


def webp(kind: bytes, data: bytes) -> bytes:
    body = b"WEBP" + kind + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def repeating_jpeg() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (64, 64)).save(target, "JPEG", progressive=True)
    whole = target.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * 1000 + whole[-2:]


HOSTILE = {
    "nothing": b"",
    "a text": b"GIF? no",
    "a GIF": picture(kind="GIF"),
    "a BMP": picture(kind="BMP"),
    "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "only a magic": MAGIC,
    "one side above the limit": picture(MAX_SIDE + 1, 1),
    "JPEG above the limit": picture(MAX_SIDE + 1, 1, kind="JPEG"),
    "WebP above the limit": picture(MAX_SIDE + 1, 1, kind="WEBP"),
    "no pixels": MAGIC + header(0, 0) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""),
    "a PNG cut off": picture()[:-40],
    "a JPEG that repeats itself": repeating_jpeg(),
    "more bytes than allowed": picture() + b"\0" * MAX_BYTES,
    "CgBI with a bomb": MAGIC
    + chunk(b"CgBI", b"\0\0\0\0")
    + header(8, 8)
    + chunk(b"IDAT", zlib.compress(b"\0" * 50_000_000)[2:-4]),
    "CgBI above the limit": cgbi([[(1, 2, 3, 255)] * (converter.MAX_SIDE + 1)]),
    "CgBI interlaced": cgbi(ROWS).replace(header(23, 11), header(23, 11, interlaced=1)),
    "CgBI in 16 bits": cgbi(ROWS).replace(header(23, 11), header(23, 11, depth=16)),
    "CgBI with a palette": cgbi(ROWS).replace(header(23, 11), header(23, 11, colors=3)),
    "CgBI that is larger inside": cgbi(ROWS).replace(header(23, 11), header(23, 10)),
    "CgBI that is smaller inside": cgbi(ROWS).replace(header(23, 11), header(23, 12)),
    "CgBI without a header": MAGIC + chunk(b"CgBI", b"\0\0\0\0") + chunk(b"IEND", b""),
    "CgBI with an unknown filter": MAGIC
    + chunk(b"CgBI", b"\0\0\0\0")
    + header(1, 1)
    + chunk(b"IDAT", zlib.compress(b"\x09\0\0\0\0")[2:-4]),
    "CgBI cut off": cgbi(ROWS)[:-60],
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_an_image_that_is_no_icon_is_none_and_no_error(raw: bytes) -> None:
    assert png_of(raw) is None


BOMBS = {
    "30,000 pixels a side": MAGIC
    + header(30_000, 30_000)
    + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    + chunk(b"IEND", b""),
    "WebP with a huge canvas": webp(b"VP8X", b"\x02\0\0\0" + b"\xff\xff\xff" * 2),
    "WebP with huge lossless pixels": webp(b"VP8L", b"\x2f" + struct.pack("<I", 0x0FFFFFFF)),
    "CgBI 30,000 pixels a side": MAGIC
    + chunk(b"CgBI", b"\0\0\0\0")
    + header(30_000, 30_000)
    + chunk(b"IDAT", b"\x03\0"),
}


@pytest.mark.parametrize("raw", BOMBS.values(), ids=BOMBS)
def test_an_image_of_more_pixels_than_any_phone_shows_refuses_the_build(raw: bytes) -> None:
    with pytest.raises(Rejected) as refusal:
        png_of(raw)
    assert refusal.value.code == "huge_icon"


def test_a_bomb_behind_the_pixels_is_not_inflated() -> None:
    rows = (b"\0" + b"\x80" * 40) * 10
    raw = (
        MAGIC
        + header(10, 10)
        + chunk(b"IDAT", zlib.compress(rows + b"\0" * 100_000_000))
        + chunk(b"IEND", b"")
    )
    image = opened(png_of(raw))
    assert image.size == (10, 10)


@pytest.mark.parametrize("filters", [(0,), (1,), (2,), (3,), (4,), (4, 3, 2, 1, 0)], ids=str)
@pytest.mark.parametrize("chunks", [1, 3])
def test_apples_png_is_read_whichever_filter_its_rows_use(filters: tuple[int, ...], chunks: int) -> None:
    assert pixels_of(opened(png_of(cgbi(ROWS, filters, chunks=chunks)))) == flat(ROWS)


@pytest.mark.parametrize("kind", range(5))
def test_apples_png_without_alpha_is_read(kind: int) -> None:
    opaque = [[(red, green, blue, 255) for red, green, blue, _ in row] for row in ROWS]
    assert pixels_of(opened(png_of(cgbi(opaque, (kind,), alpha=False)))) == flat(opaque)


def test_other_readers_see_nothing_in_apples_png() -> None:
    """The conversion is needed, and the encoder of these tests writes the real format."""
    with pytest.raises(OSError), Image.open(io.BytesIO(cgbi(ROWS))) as image:
        image.load()


pixels = st.tuples(*[st.integers(0, 255)] * 4)


@settings(deadline=None)
@given(
    st.integers(1, 9).flatmap(
        lambda width: st.lists(st.lists(pixels, min_size=width, max_size=width), min_size=1, max_size=9)
    ),
    st.lists(st.integers(0, 4), min_size=1, max_size=5),
)
def test_any_pixels_come_back_as_near_as_their_alpha_allows(
    rows: list[list[Pixel]], filters: list[int]
) -> None:
    raw = cgbi(rows, filters)
    assert converter.pixel_size(raw) == (len(rows[0]), len(rows))
    for found, sent in zip(pixels_of(opened(png_of(raw))), flat(rows), strict=True):
        assert found[3] == sent[3]
        if sent[3]:
            # Multiplying loses up to half a step, dividing up to one.
            assert all(abs(a - b) <= 255 / sent[3] / 2 + 1 for a, b in zip(found, sent, strict=True))


@pytest.mark.parametrize(
    "make", [lambda: cgbi(ROWS, (4, 1)), picture, lambda: picture(kind="JPEG"), lambda: picture(kind="WEBP")]
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_mutation_of_an_image_raises_anything_else(make: Callable[[], bytes], data: st.DataObject) -> None:
    raw = bytearray(make())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    for each in (bytes(raw), bytes(raw[:cut])):
        try:
            png = png_of(each)
        except Rejected as refusal:
            assert refusal.code == "huge_icon"  # noqa: PT017
            continue
        assert png is None or max(opened(png).size) <= 192


def test_of_several_the_one_that_need_not_be_enlarged_is_chosen() -> None:
    sizes = [40, 1024, 256, 200, 120]
    colors = {size: (size % 256, size // 256, 7, 255) for size in sizes}
    pictures = [picture(size, size, colors[size]) for size in sizes]
    assert opened(best_of(pictures)).getpixel((5, 5)) == colors[200]
    assert opened(best_of([pictures[0], pictures[4]])).getpixel((5, 5)) == colors[120]


def test_of_several_the_next_is_taken_where_one_is_damaged_or_too_large() -> None:
    good = picture(120, 120, (1, 2, 3, 255))
    found = best_of([picture(200, 200)[:60], good, picture(MAX_SIDE + 1, MAX_SIDE + 1), b"nonsense"])
    assert opened(found).getpixel((5, 5)) == (1, 2, 3, 255)
    assert best_of([]) is None
