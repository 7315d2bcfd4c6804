"""Signed APKs that are not one clear archive."""

from __future__ import annotations

from tests.builders import schemes as s
from tests.builders.packages import archive
from tests.builders.schemes import places, signed
from tests.packages.cases import BAD, add, by, entries, plain, v2_only
from tests.packages.mutations import flip_bit

add("prepended-dex", lambda: b"dex\n035\0" + bytes(56) + v2_only(), "prepended")
add("prepended-zeros", lambda: bytes(16) + v2_only(), "not_a_package")
add("trailing-bytes", lambda: v2_only() + b"more", "trailing_bytes")
add("cut-off", lambda: v2_only()[:-30], "damaged_archive")
add("comment-added", lambda: v2_only()[:-2] + b"\x04\0more", BAD)
add("bytes-between-block-and-directory", lambda: _shifted(), "hidden_bytes")
add("signed-with-lying-local-name", lambda: signed(_lying(plain()), v2=[by()]), "lying_header")
add("signed-with-lying-local-size", lambda: signed(flip_bit(plain(), 22), v2=[by()]), "lying_header")
add("signed-with-two-end-records", lambda: signed(_commented(plain()), v2=[by()]), "ambiguous_archive")
add(
    "signed-with-entry-twice",
    lambda: signed(_two_cases().replace(b"/Content", b"/content"), v2=[by()]),
    "duplicate_entry",
)
add("signed-with-entry-of-other-case", lambda: signed(_two_cases(), v2=[by()]), "duplicate_entry")


def _shifted() -> bytes:
    apk = v2_only()
    end, directory = places(apk)
    return apk[:directory] + bytes(16) + apk[directory:end] + s.at_offset(apk[end:], directory + 16)


def _lying(apk: bytes) -> bytes:
    """Return an APK whose first local header has another name than the directory."""
    return apk.replace(b"AndroidManifest.xml", b"AndroidManifest.xmk", 1)


def _commented(apk: bytes) -> bytes:
    end, _ = places(apk)
    return apk[:-2] + b"\x16\0" + apk[end : end + 20] + b"\0\0"


def _two_cases() -> bytes:
    return archive({**entries(), "assets/Content.bin": b"other"})
