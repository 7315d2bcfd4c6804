"""Signing APKs with any combination of the schemes v2, v3 and v3.1, also incorrectly.

Sources: the pages about the schemes in the Android Open Source Project documentation. Written independently
of the reader in `ota.packages.signing`, so that no mistake is made in both.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa

from tests.builders.keys import PrivateKey, Signer

V2, V3, V31 = 0x7109871A, 0xF05368C0, 0x1B93AD61
PADDING = 0x42726577
MAGIC = b"APK Sig Block 42"
CHUNK, PAGE = 1024 * 1024, 4096
LAST_SDK = 0x7FFFFFFF

PSS_SHA256, PSS_SHA512, PKCS1_SHA256, PKCS1_SHA512 = 0x0101, 0x0102, 0x0103, 0x0104
ECDSA_SHA256, ECDSA_SHA512, DSA_SHA256 = 0x0201, 0x0202, 0x0301
VERITY_RSA, VERITY_EC, VERITY_DSA = 0x0421, 0x0423, 0x0425
SHA512_ALGORITHMS = {PSS_SHA512, PKCS1_SHA512, ECDSA_SHA512}
VERITY_ALGORITHMS = {VERITY_RSA, VERITY_EC, VERITY_DSA}

STRIPPING_PROTECTION, PROOF_OF_ROTATION, ROTATION_MIN_SDK = 0xBEEFF00D, 0x3BA06F8C, 0x559F8B02
ALL_FLAGS = 0x17


@dataclass(frozen=True)
class By:
    """One signer of a block. ``first`` and ``last`` are the API levels of v3.

    ``certificate`` and ``public_key`` replace the true ones, ``digests`` the algorithms that have a digest,
    ``claims`` the digests themselves, and ``outer_first`` the first API level outside of the signed data.
    """

    signer: Signer
    algorithms: Sequence[int] = ()
    attributes: Sequence[tuple[int, bytes]] = ()
    first: int = 28
    last: int = LAST_SDK
    certificate: bytes | None = None
    public_key: bytes | None = None
    digests: Sequence[int] | None = None
    claims: Mapping[int, bytes] = field(default_factory=dict)
    outer_first: int | None = None

    @property
    def ids(self) -> Sequence[int]:
        return self.algorithms or (usual(self.signer.key),)


def usual(key: PrivateKey) -> int:
    if isinstance(key, rsa.RSAPrivateKey):
        return PKCS1_SHA256
    return ECDSA_SHA256 if isinstance(key, ec.EllipticCurvePrivateKey) else DSA_SHA256


def attribute(key: int, number: int) -> tuple[int, bytes]:
    return key, struct.pack("<I", number)


def lineage(
    *signers: Signer, flags: int = ALL_FLAGS, version: int = 1, broken_at: int | None = None
) -> tuple[int, bytes]:
    """Return the proof of rotation from the first signer to the last, as an attribute.

    The signature at ``broken_at`` is by the wrong key.
    """
    nodes = b""
    for index, current in enumerate(signers):
        by = usual(signers[index - 1].key) if index else 0
        to_next = usual(current.key) if index + 1 < len(signers) else 0
        data = sized(current.certificate) + struct.pack("<I", by)
        signature = sign(signers[index - 1].key, by, data) if index else b""
        if index == broken_at:
            signature = sign(current.key, by, data)
        nodes += sized(sized(data) + struct.pack("<II", flags, to_next) + sized(signature))
    return PROOF_OF_ROTATION, struct.pack("<I", version) + nodes


def signed(
    apk: bytes,
    *,
    v2: Sequence[By] = (),
    v3: Sequence[By] = (),
    v31: Sequence[By] = (),
    more: Sequence[tuple[int, bytes]] = (),
    is_protected: bool = True,
) -> bytes:
    """Return the archive with a signing block. If ``is_protected``, v2 signers announce a v3 signature."""
    everyone = [*v2, *v3, *v31]
    has_verity = any(key in VERITY_ALGORITHMS for by in everyone for key in by.ids)
    end, directory = places(apk)
    entries = apk[:directory] + (bytes(-directory % PAGE) if has_verity else b"")
    contents = [entries, apk[directory:end], at_offset(apk[end:], len(entries))]
    digests = {key: content_digest(key, contents) for by in everyone for key in by.ids}
    pairs = []
    if v2:
        protection = [attribute(STRIPPING_PROTECTION, 3)] if v3 and is_protected else []
        v2 = [replace(by, attributes=[*by.attributes, *protection]) for by in v2]
        pairs.append((V2, sized(b"".join(sized(signer_block(by, digests, is_v3=False)) for by in v2))))
    for key, signers in ((V3, v3), (V31, v31)):
        if signers:
            pairs.append(
                (key, sized(b"".join(sized(signer_block(by, digests, is_v3=True)) for by in signers)))
            )
    block = signing_block([*pairs, *more], is_aligned=has_verity)
    return entries + block + contents[1] + at_offset(apk[end:], len(entries) + len(block))


def signer_block(by: By, digests: Mapping[int, bytes], *, is_v3: bool) -> bytes:
    listed = by.ids if by.digests is None else by.digests
    range_ = struct.pack("<II", by.first, by.last) if is_v3 else b""
    data = sized(
        b"".join(
            sized(struct.pack("<I", key) + sized(by.claims.get(key, digests.get(key, b"")))) for key in listed
        )
    )
    data += sized(sized(by.signer.certificate if by.certificate is None else by.certificate)) + range_
    data += sized(b"".join(sized(struct.pack("<I", key) + value) for key, value in by.attributes))
    signatures = b"".join(
        sized(struct.pack("<I", key) + sized(sign(by.signer.key, key, data))) for key in by.ids
    )
    outer = (
        struct.pack("<II", by.first if by.outer_first is None else by.outer_first, by.last) if is_v3 else b""
    )
    return (
        sized(data)
        + outer
        + sized(signatures)
        + sized(by.signer.public_key if by.public_key is None else by.public_key)
    )


def sign(key: PrivateKey, algorithm: int, data: bytes) -> bytes:
    digest = hashes.SHA512() if algorithm in SHA512_ALGORITHMS else hashes.SHA256()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(digest))
    if isinstance(key, dsa.DSAPrivateKey):
        return key.sign(data, digest)
    if algorithm in {PSS_SHA256, PSS_SHA512}:
        return key.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    return key.sign(data, padding.PKCS1v15(), digest)


def content_digest(algorithm: int, sections: list[bytes]) -> bytes:
    if algorithm in VERITY_ALGORITHMS:
        everything = b"".join(sections)
        level = _pages(everything)
        while len(level) > PAGE:
            level = _pages(level)
        return _pages(level) + struct.pack("<Q", len(everything))
    name = "sha512" if algorithm in SHA512_ALGORITHMS else "sha256"
    chunks = [section[at : at + CHUNK] for section in sections for at in range(0, len(section), CHUNK)]
    digests = [
        hashlib.new(name, b"\xa5" + struct.pack("<I", len(chunk)) + chunk).digest() for chunk in chunks
    ]
    return hashlib.new(name, b"\x5a" + struct.pack("<I", len(digests)) + b"".join(digests)).digest()


def _pages(data: bytes) -> bytes:
    pages = [data[at : at + PAGE].ljust(PAGE, b"\0") for at in range(0, len(data), PAGE)]
    return b"".join(hashlib.sha256(bytes(8) + page).digest() for page in pages)


def signing_block(pairs: Sequence[tuple[int, bytes]], *, is_aligned: bool = False) -> bytes:
    data = b"".join(struct.pack("<QI", len(value) + 4, key) + value for key, value in pairs)
    if is_aligned:
        missing = -(len(data) + 32) % PAGE
        missing += PAGE if missing < 12 else 0
        data += struct.pack("<QI", missing - 8, PADDING) + bytes(missing - 12)
    size = struct.pack("<Q", len(data) + 8 + len(MAGIC))
    return size + data + size + MAGIC


def places(apk: bytes) -> tuple[int, int]:
    """Return the offsets of the end record and of the directory."""
    end = apk.rindex(b"PK\x05\x06")
    return end, struct.unpack_from("<I", apk, end + 16)[0]


def at_offset(end: bytes, directory: int) -> bytes:
    """Return the end record, changed for a directory at this offset."""
    return end[:16] + struct.pack("<I", directory) + end[20:]


def pairs_of(apk: bytes) -> tuple[int, list[tuple[int, bytes]]]:
    """Return the offset of the signing block, and its pairs."""
    _, directory = places(apk)
    size = struct.unpack_from("<Q", apk, directory - 24)[0]
    at, found = directory - size, []
    while at < directory - 24:
        length, key = struct.unpack_from("<QI", apk, at)
        found.append((key, apk[at + 12 : at + 8 + length]))
        at += 8 + length
    return directory - size - 8, found


def with_pairs(apk: bytes, pairs: Sequence[tuple[int, bytes]]) -> bytes:
    """Return the APK with another signing block, or without one if there are no pairs."""
    end, directory = places(apk)
    start, _ = pairs_of(apk)
    block = signing_block(pairs) if pairs else b""
    return apk[:start] + block + apk[directory:end] + at_offset(apk[end:], start + len(block))


def sized(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data
