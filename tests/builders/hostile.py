"""Files that are made to exhaust or crash their reader. All are cheap to make."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from tests.builders import images
from tests.builders.arsc import Resource
from tests.builders.axml import Element, Reference, chunk, encode
from tests.builders.packages import apk, archive, manifest

MANIFEST = "AndroidManifest.xml"
LABEL, ICON = 0x7F010000, 0x7F020000


def zip_bomb() -> bytes:
    """Return an archive of 3 MB with 3 GB of zeros: thirty entries of 100 MB."""
    zeros = bytes(100 * 1024**2)
    header = (8, zlib.crc32(zeros), _deflated(zeros), len(zeros))
    return raw_zip(
        [(MANIFEST, manifest(), None), *((f"assets/{number}.bin", b"", header) for number in range(30))]
    )


def lying_bomb() -> bytes:
    """Return an archive with an entry that claims 10 bytes and inflates to 100 MB."""
    packed = _deflated(bytes(100 * 1024**2))
    return raw_zip([(MANIFEST, manifest(), None), ("resources.arsc", b"", (8, zlib.crc32(b""), packed, 10))])


def overlapping_bomb(count: int = 2000) -> bytes:
    """Return an archive with many directory entries that share the data of one large entry."""
    kernel = _deflated(bytes(10 * 1024**2))
    crc = zlib.crc32(bytes(10 * 1024**2))
    body = _local("a", 8, crc, kernel, 10 * 1024**2)
    directory = b"".join(
        _central(f"{number}", 8, crc, len(kernel), 10 * 1024**2, 0) for number in range(count)
    )
    return body + directory + _end(count, len(directory), len(body))


def four_gigabytes_declared() -> bytes:
    """Return an archive with an entry that claims almost 4 GiB."""
    return raw_zip([(MANIFEST, manifest(), None), ("a.bin", b"", (8, 0, _deflated(b"hello"), 0xFFFFFFFE))])


def million_entries() -> bytes:
    """Return an archive with a million empty entries, which needs ZIP64."""
    count = 1_000_000
    body = _local("a", 0, 0, b"", 0)
    directory = b"".join(_central(f"{number}", 0, 0, 0, 0, 0) for number in range(count))
    numbers = (44, 45, 45, 0, 0, count, count, len(directory), len(body))
    zip64_end = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", *numbers)
    zip64_locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(body) + len(directory), 1)
    return body + directory + zip64_end + zip64_locator + _end(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


def endless_string_pool() -> bytes:
    """Return an APK whose manifest has a string pool that claims 4 billion strings."""
    pool = chunk(0x0001, 28, struct.pack("<5I", 0xFFFFFFFF, 0, 0, 28, 0), b"\0" * 64)
    return apk_with_manifest(chunk(0x0003, 8, b"", pool))


def one_long_string_many_times() -> bytes:
    """Return an APK whose manifest has 20,000 elements, all with the same name of 30,000 letters."""
    elements = [Element("x" * 30_000) for _ in range(20_000)]
    return apk_with_manifest(encode(Element("manifest", {"package": "com.example.app"}, elements)))


def deep_manifest() -> bytes:
    """Return an APK whose manifest nests elements ten thousand deep."""
    start = chunk(
        0x0102,
        16,
        struct.pack("<II", 1, 0xFFFFFFFF),
        struct.pack("<IIHHHHHH", 0xFFFFFFFF, 0, 20, 20, 0, 0, 0, 0),
    )
    pool = chunk(
        0x0001,
        28,
        struct.pack("<5I", 1, 0, 0, 32, 0),
        struct.pack("<I", 0) + struct.pack("<HHH", 1, ord("a"), 0) + b"\0\0",
    )
    return apk_with_manifest(chunk(0x0003, 8, b"", pool + start * 10_000))


def self_referencing_label() -> bytes:
    return apk(resources=[Resource(LABEL, refers_to=LABEL)], application={"label": Reference(LABEL)})


def exploding_references() -> bytes:
    """Return an APK with ten levels of references and twenty alternatives on each: 20 to the power of 10
    paths.
    """
    languages = [f"{a}{b}" for a in "abcd" for b in "efghi"]
    resources = [
        Resource(LABEL + level, locale=each, refers_to=LABEL + level + 1)
        for level in range(10)
        for each in languages
    ]
    return apk(resources=[*resources, Resource(LABEL + 10, "end")], application={"label": Reference(LABEL)})


def huge_icon() -> bytes:
    """Return an APK whose icon claims 30,000 x 30,000 pixels and has only the first of them."""
    pixels = images.chunk(b"IDAT", zlib.compress(bytes(3_000_000), 9))
    icon = images.MAGIC + images.header(30_000, 30_000) + pixels + images.chunk(b"IEND", b"")
    return apk(
        resources=[Resource(ICON, "res/icon.png", density=640)],
        files={"res/icon.png": icon},
        application={"icon": Reference(ICON)},
    )


def apk_with_manifest(raw: bytes) -> bytes:
    return archive({MANIFEST: raw, "assets/a": b"a"})


def raw_zip(entries: list[tuple[str, bytes, tuple[int, int, bytes, int] | None]]) -> bytes:
    """Return an archive of (name, content, header) entries.

    A header (method, CRC, packed bytes, size) is written as given; None makes a correct one for the content.
    """
    body = directory = b""
    for name, content, header in entries:
        method, crc, packed, size = header or (0, zlib.crc32(content), content, len(content))
        directory += _central(name, method, crc, len(packed), size, len(body))
        body += _local(name, method, crc, packed, size)
    return body + directory + _end(len(entries), len(directory), len(body))


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def _local(name: str, method: int, crc: int, packed: bytes, size: int) -> bytes:
    raw_name = name.encode()
    return (
        struct.pack(
            "<4s5H3I2H", b"PK\x03\x04", 20, 0, method, 0, 33, crc, len(packed), size, len(raw_name), 0
        )
        + raw_name
        + packed
    )


def _central(name: str, method: int, crc: int, packed: int, size: int, offset: int) -> bytes:
    raw_name = name.encode()
    fields = (
        b"PK\x01\x02",
        20,
        20,
        0,
        method,
        0,
        33,
        crc,
        packed,
        size,
        len(raw_name),
        0,
        0,
        0,
        0,
        0,
        offset,
    )
    return struct.pack("<4s6H3I5H2I", *fields) + raw_name


def _end(count: int, size: int, offset: int) -> bytes:
    return struct.pack(
        "<4s4H2IH", b"PK\x05\x06", 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), size, offset, 0
    )


FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a zip bomb": (zip_bomb, "zip_bomb"),
    "a bomb that lies about its size": (lying_bomb, "lying_header"),
    "a bomb of overlapping entries": (overlapping_bomb, "lying_header"),
    "an entry of 4 GB": (four_gigabytes_declared, "zip_bomb"),
    "a million entries": (million_entries, "too_many_entries"),
    "an endless string pool": (endless_string_pool, "unreadable_manifest"),
    "a manifest of the same long name": (one_long_string_many_times, "no_version_code"),
    "a deep manifest": (deep_manifest, "unreadable_manifest"),
    "a label that is itself": (self_referencing_label, "unreadable_manifest"),
    "references without end": (exploding_references, "unreadable_manifest"),
    "a huge icon": (huge_icon, "huge_icon"),
}
"""Each file with the code of its rejection."""
