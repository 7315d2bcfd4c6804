"""APKs with one bit changed after signing."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.builders import schemes as s
from tests.builders.packages import archive
from tests.builders.schemes import pairs_of, places, signed
from tests.packages.cases import BAD, add, all_three, by, entries, v2_only, who
from tests.packages.mutations import flip_bit


def flip(
    name: str,
    expected: str,
    where: Callable[[bytes], int],
    base: Callable[[], bytes] = v2_only,
    **more: object,
) -> None:
    """Add a case with one bit changed, at the offset that ``where`` finds in the file."""

    def build() -> bytes:
        apk = base()
        return flip_bit(apk, where(apk))

    add(f"flipped-{name}", build, expected, **more)


def _directory(apk: bytes) -> int:
    return places(apk)[1]


def _end(apk: bytes) -> int:
    return places(apk)[0]


def _block(apk: bytes) -> int:
    return pairs_of(apk)[0]


def _digest(apk: bytes) -> int:
    # The sizes of the pair, signers, signer, signed data, digests and digest come first, then algorithm and
    # size.
    return _block(apk) + 8 + 12 + 4 + 4 + 4 + 4 + 4 + 8


def _stored() -> bytes:
    return signed(archive(entries(), 0), v2=[by()])


for _name, _tail in {
    "manifest": b"AndroidManifest.xml",
    "content": b"content.bin",
    "long-name": b"name.txt",
}.items():
    flip(f"data-of-{_name}", BAD, lambda apk, tail=_tail: apk.index(tail) + len(tail) + 1, _stored)  # type: ignore[misc]
flip("time-in-local-header", BAD, lambda apk: 10)
flip("name-in-local-header", "lying_header", lambda apk: 31)
flip("size-in-local-header", "lying_header", lambda apk: 22)
flip("time-in-directory", BAD, lambda apk: _directory(apk) + 12)
flip("checksum-in-directory", "lying_header", lambda apk: _directory(apk) + 16)
flip("count-in-end-record", "ambiguous_archive", lambda apk: _end(apk) + 8)
flip("first-size-of-block", BAD, _block)
flip("second-size-of-block", BAD, lambda apk: _directory(apk) - 24)
flip("magic-of-block", "hidden_bytes", lambda apk: _directory(apk) - 16)
flip("size-of-pair", BAD, lambda apk: _block(apk) + 8)
flip("id-of-pair", "unsigned", lambda apk: _block(apk) + 16)
flip(
    "id-of-v3-pair-with-v1-behind",
    "stripped_signature",
    lambda apk: apk.index(struct.pack("<I", s.V3)),
    all_three,
    min_sdk=21,
)
for _number, _name in enumerate(["signers", "signer", "signed-data", "digests", "digest"]):
    flip(f"size-of-{_name}", BAD, lambda apk, number=_number: _block(apk) + 20 + 4 * number)  # type: ignore[misc]
flip("algorithm-of-digest", BAD, lambda apk: _digest(apk) - 8)
flip("digest", BAD, _digest)
flip("size-of-certificate", BAD, lambda apk: apk.index(who("A").certificate) - 4)
flip("certificate", BAD, lambda apk: apk.index(who("A").certificate) + 100)
flip("size-of-signatures", BAD, lambda apk: _public_key(apk) - 256 - 20)
flip("algorithm-of-signature", BAD, lambda apk: _public_key(apk) - 256 - 12)
flip("signature", BAD, lambda apk: _public_key(apk) - 100)
flip("size-of-public-key", BAD, lambda apk: _public_key(apk) - 4)
flip("public-key", BAD, lambda apk: _public_key(apk) + 100)
flip("v3-signature", BAD, lambda apk: _directory(apk) - 24 - 294 - 100, all_three, min_sdk=21)
flip("v3-range", BAD, lambda apk: apk.rindex(struct.pack("<II", 28, s.LAST_SDK)), all_three, min_sdk=21)


def _public_key(apk: bytes) -> int:
    return apk.rindex(who("A").public_key)
