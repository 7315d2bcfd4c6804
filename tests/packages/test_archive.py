"""An archive is accepted if there is exactly one way to read it, and refused otherwise."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ota.errors import Rejected
from ota.packages.archive import open_archive
from tests.builders.hostile import raw_zip
from tests.builders.packages import archive

SOME = {"a.txt": b"hello" * 100, "b/c.txt": b"world"}


@pytest.fixture
def names(tmp_path: Path) -> Callable[[bytes], list[str]]:
    """Return a function that checks everything in an archive and returns the names in it."""

    def read(content: bytes) -> list[str]:
        path = tmp_path / "archive"
        path.write_bytes(content)
        with open_archive(path) as found:
            found.check_contents()
            return list(found.entries)

    return read


def end_of(content: bytes) -> int:
    return content.rindex(b"PK\x05\x06")


def directory_of(content: bytes) -> int:
    found: int = struct.unpack_from("<I", content, end_of(content) + 16)[0]
    return found


def patched(content: bytes, at: int, value: bytes) -> bytes:
    return content[:at] + value + content[at + len(value) :]


def inserted(content: bytes, at: int, value: bytes) -> bytes:
    """Insert bytes between the entries and adjust the offsets in the directory."""
    directory, end = directory_of(content), end_of(content)
    moved = bytearray(content[:at] + value + content[at:])
    header = directory + len(value)
    while moved[header : header + 4] == b"PK\x01\x02":
        name, extra, comment = struct.unpack_from("<3H", moved, header + 28)
        (offset,) = struct.unpack_from("<I", moved, header + 42)
        if offset >= at:
            struct.pack_into("<I", moved, header + 42, offset + len(value))
        header += 46 + name + extra + comment
    struct.pack_into("<I", moved, end + len(value) + 16, directory + len(value))
    return bytes(moved)


def with_info(name: str, **changes: Any) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        info = zipfile.ZipInfo(name)
        for key, value in changes.items():
            setattr(info, key, value)
        file.writestr(info, b"target")
    return target.getvalue()


def streamed() -> bytes:
    """Return an archive written as a stream, with sizes in data descriptors behind the entries."""

    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.content = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.content += bytes(data)
            return len(data)

    target = Stream()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:  # type: ignore[arg-type]
        for name, data in SOME.items():
            file.writestr(name, data)
    return target.content


def aligned() -> bytes:
    """Return an archive aligned as by zipalign, with zeros in the extra fields."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name, data in SOME.items():
            info = zipfile.ZipInfo(name)
            info.extra = b"\0" * (-(target.tell() + 30 + len(name)) % 4096)
            file.writestr(info, data)
    return target.getvalue()


def filler(size: int) -> bytes:
    """Return an entry without name or data, as Android's build tools leave in place of a removed one."""
    return struct.pack("<4s5H3I2H", b"PK\x03\x04", 0, 0, 0, 0, 0, 0, 0, 0, 0, size) + b"\0" * size


PLAIN = archive(SOME)
FIRST_END = PLAIN.index(b"PK\x03\x04", 4)

ACCEPTED = {
    "a plain one": PLAIN,
    "data descriptors": streamed(),
    "alignment in extra fields": aligned(),
    "zeros between entries": inserted(PLAIN, FIRST_END, b"\0" * 37),
    "a filler entry": inserted(PLAIN, FIRST_END, filler(50)),
    "an archive comment": patched(PLAIN, end_of(PLAIN) + 20, b"\x05\x00") + b"hello",
    "names below res/ that differ by capitals": archive({"res/aB.xml": b"1", "res/Ab.xml": b"2"}),
    "another archive inside": archive({"inner.zip": PLAIN}, zipfile.ZIP_STORED),
    "folders": archive({"a/": b"", "a/b.txt": b"x"}),
}


@pytest.mark.parametrize("content", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_the_peculiarities_of_real_builds_are_accepted(
    names: Callable[[bytes], list[str]], content: bytes
) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert sorted(names(content)) == sorted(file.namelist())


def doubled(first: str, second: str) -> bytes:
    return raw_zip([(first, b"1", None), (second, b"2", None)])


def two_ends() -> bytes:
    """Return an archive with a second end record in the comment of the first."""
    end = PLAIN[end_of(PLAIN) :]
    return PLAIN[: end_of(PLAIN)] + end[:20] + struct.pack("<H", len(end)) + end


DIRECTORY, END = directory_of(PLAIN), end_of(PLAIN)
REFUSED = {
    "two entries with one name": (doubled("a.txt", "a.txt"), "duplicate_entry"),
    "names that differ by capitals": (doubled("classes.dex", "Classes.dex"), "duplicate_entry"),
    "names that differ by Unicode form": (doubled("caf\u00e9.txt", "cafe\u0301.txt"), "duplicate_entry"),
    "another name in the local header": (patched(PLAIN, 30, b"x"), "lying_header"),
    "another method in the local header": (patched(PLAIN, 8, b"\x00\x00"), "lying_header"),
    "another size in the local header": (patched(PLAIN, 18, b"\x01\x00\x00\x00"), "lying_header"),
    "another CRC in the local header": (patched(PLAIN, 14, b"\x01\x02\x03\x04"), "lying_header"),
    "another flag in the local header": (patched(PLAIN, 6, b"\x08\x00"), "lying_header"),
    "bytes in front": (inserted(PLAIN, 0, b"#!/bin/sh\n"), "not_a_package"),
    "an archive in front": (inserted(PLAIN, 0, raw_zip([("x", b"1", None)])[:32]), "prepended"),
    "a DEX in front": (b"dex\n035\0" + PLAIN, "prepended"),
    "zeros in front": (inserted(PLAIN, 0, b"\0" * 8), "not_a_package"),
    "bytes behind": (PLAIN + b"more", "trailing_bytes"),
    "two end records": (two_ends(), "ambiguous_archive"),
    "hidden bytes between entries": (inserted(PLAIN, FIRST_END, b"hidden"), "hidden_bytes"),
    "hidden bytes in a filler entry": (
        inserted(PLAIN, FIRST_END, filler(6)[:-6] + b"hidden"),
        "hidden_bytes",
    ),
    "hidden bytes before the directory": (inserted(PLAIN, DIRECTORY, b"hidden"), "hidden_bytes"),
    "an encrypted entry": (
        patched(patched(PLAIN, 6, b"\x01\x00"), DIRECTORY + 8, b"\x01\x00"),
        "encrypted_entry",
    ),
    "an absolute name": (raw_zip([("/etc/passwd", b"1", None)]), "unsafe_name"),
    "a name that climbs": (raw_zip([("a/../../b", b"1", None)]), "unsafe_name"),
    "a name that climbs with backslashes": (raw_zip([("a\\..\\..\\b", b"1", None)]), "unsafe_name"),
    "a name with NUL": (raw_zip([("a\0b", b"1", None)]), "unsafe_name"),
    "a name with a drive": (raw_zip([("C:/a", b"1", None)]), "unsafe_name"),
    "an empty name": (raw_zip([("", b"1", None)]), "unsafe_name"),
    "a symbolic link": (
        with_info("a", external_attr=(stat.S_IFLNK | 0o777) << 16, create_system=3),
        "symbolic_link",
    ),
    "another compression": (raw_zip([("a", b"", (12, 0, b"BZh9", 4))]), "odd_compression"),
    "a wrong CRC": (raw_zip([("a", b"", (0, 1, b"hello", 5))]), "wrong_crc"),
    "more bytes than it says": (
        raw_zip([("a", b"", (8, zlib.crc32(b"hello"), zlib.compress(b"hello")[2:-4], 4))]),
        "lying_header",
    ),
    "fewer bytes than it says": (
        raw_zip([("a", b"", (8, zlib.crc32(b"hello"), zlib.compress(b"hello")[2:-4], 6))]),
        "lying_header",
    ),
    "bytes behind the compressed ones": (
        raw_zip([("a", b"", (8, zlib.crc32(b"hello"), zlib.compress(b"hello")[2:-4] + b"more", 5))]),
        "lying_header",
    ),
    "stored with two sizes": (raw_zip([("a", b"", (0, zlib.crc32(b"hello"), b"hello", 6))]), "lying_header"),
    "a cut off entry": (
        raw_zip([("a", b"", (8, 0, zlib.compress(bytes(999))[2:6], 999))]),
        "damaged_archive",
    ),
    "a directory that says more": (patched(PLAIN, END + 8, b"\x03\x00\x03\x00"), "damaged_archive"),
    "a directory that says less": (patched(PLAIN, END + 8, b"\x01\x00\x01\x00"), "ambiguous_archive"),
    "two disks": (patched(PLAIN, END + 4, b"\x01\x00"), "ambiguous_archive"),
    "a directory elsewhere": (
        patched(PLAIN, END + 16, struct.pack("<I", DIRECTORY - 1)),
        "ambiguous_archive",
    ),
    "an entry that starts behind the directory": (
        patched(PLAIN, DIRECTORY + 42, struct.pack("<I", END)),
        "prepended",
    ),
    "two entries on the same bytes": (
        patched(PLAIN, PLAIN.rindex(b"PK\x01\x02") + 42, b"\0\0\0\0"),
        "ambiguous_archive",
    ),
    "a name that is no UTF-8": (
        patched(
            patched(patched(patched(PLAIN, 6, b"\x00\x08"), DIRECTORY + 8, b"\x00\x08"), 30, b"\xff"),
            DIRECTORY + 46,
            b"\xff",
        ),
        "unsafe_name",
    ),
    "nothing but an end record": (PLAIN[END:], "not_a_package"),
    "nothing": (b"", "not_a_package"),
}


@pytest.mark.parametrize(("content", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_an_archive_that_is_damaged_or_ambiguous_is_refused(
    names: Callable[[bytes], list[str]], content: bytes, code: str
) -> None:
    with pytest.raises(Rejected) as refusal:
        names(content)
    assert refusal.value.code == code
    assert refusal.value.message.endswith(".")


def test_an_entry_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(PLAIN)
    with open_archive(path) as found, pytest.raises(Rejected) as refusal:
        found.read("a.txt", 10)
    assert refusal.value.code == "entry_too_large"
