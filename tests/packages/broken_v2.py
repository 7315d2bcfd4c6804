"""APKs that are unsigned, or whose v2 signature is broken, weak, or moved from another file."""

from __future__ import annotations

from tests.builders import schemes as s
from tests.builders.keys import signer
from tests.builders.packages import archive
from tests.builders.schemes import By, pairs_of, signed, with_pairs
from tests.packages.cases import BAD, add, all_three, by, entries, plain, v2_only, who

add("unsigned", plain, "unsigned")
add("unsigned-with-empty-block", lambda: signed(plain(), more=[(s.PADDING, bytes(64))]), "unsigned")
add("v2-twice", lambda: _twice_in_block(s.V2, [by()]), "duplicate_block")
add("v2-twice-first-broken", lambda: _twice_in_block(s.V2, [by()], first=b"broken"), "duplicate_block")
add("v3-twice", lambda: _twice_in_block(s.V3, [by("B")]), "duplicate_block", min_sdk=21)
add("v2-nobody", lambda: with_pairs(v2_only(), [(s.V2, s.sized(b""))]), BAD)
add(
    "v2-eleven-signers",
    lambda: signed(plain(), v2=[By(signer("A", serial=number + 1)) for number in range(11)]),
    BAD,
)
add("v2-no-certificate", lambda: signed(plain(), v2=[by(certificate=b"")]), BAD)
add("v2-certificate-of-another-key", lambda: signed(plain(), v2=[by(certificate=who("B").certificate)]), BAD)
add("v2-public-key-of-another", lambda: signed(plain(), v2=[by(public_key=who("B").public_key)]), BAD)
add(
    "v2-digests-list-more",
    lambda: signed(plain(), v2=[by("A", s.PKCS1_SHA256, digests=[s.PKCS1_SHA256, s.PKCS1_SHA512])]),
    BAD,
)
add(
    "v2-digests-list-other",
    lambda: signed(plain(), v2=[by("A", s.PKCS1_SHA256, digests=[s.PKCS1_SHA512])]),
    BAD,
)
add("v2-two-values-for-one-digest", lambda: signed(plain(), v2=[_two_values()]), BAD)
add("v2-no-digest", lambda: signed(plain(), v2=[by(digests=[])]), BAD)
add("v2-wrong-digest", lambda: signed(plain(), v2=[by(claims={s.PKCS1_SHA256: bytes(32)})]), BAD)
add(
    "v2-better-digest-wrong",
    lambda: signed(plain(), v2=[by("A", s.PKCS1_SHA256, s.PKCS1_SHA512, claims={s.PKCS1_SHA512: b""})]),
    BAD,
)
add(
    "v2-worse-digest-wrong",
    lambda: signed(plain(), v2=[by("A", s.PKCS1_SHA256, s.PKCS1_SHA512, claims={s.PKCS1_SHA256: b""})]),
)
add("v2-verity-only-before-android-9", lambda: signed(plain(), v2=[by("A", s.VERITY_RSA)]), BAD)
add(
    "v2-verity-wrong-digest",
    lambda: signed(plain(28), v2=[by("A", s.VERITY_RSA, claims={s.VERITY_RSA: bytes(40)})]),
    BAD,
    min_sdk=28,
)
add("v2-unknown-algorithm-only", lambda: signed(plain(), v2=[by("A", 0x0999)]), BAD)
add(
    "v2-algorithm-of-another-kind-of-key", lambda: signed(plain(), v2=[by("A:EC P-256", s.PKCS1_SHA256)]), BAD
)
add("v2-weak-key", lambda: signed(plain(), v2=[by("A:RSA 768")]), "weak_signature")
add("v2-signature-larger-than-any", lambda: with_pairs(v2_only(), [(s.V2, bytes(9 * 1024**2))]), BAD)
add("v2-content-changed-and-checksums-fixed", lambda: _moved_signature(), BAD)


def _twice_in_block(key: int, more: list[By], first: bytes | None = None) -> bytes:
    apk = all_three() if key == s.V3 else v2_only()
    _, pairs = pairs_of(apk)
    second = s.sized(s.sized(s.signer_block(more[0], {}, is_v3=key == s.V3)))
    return with_pairs(
        apk,
        [*([] if first is None else [(key, first)]), *pairs, *([] if first is not None else [(key, second)])],
    )


def _two_values() -> By:
    """Return a signer whose PSS and PKCS #1 signatures, which share the digest SHA-256, name two values of
    it.
    """
    return by("A", s.PKCS1_SHA256, s.PSS_SHA256, claims={s.PSS_SHA256: bytes(32)})


def _moved_signature() -> bytes:
    """Return an APK with the signing block of another APK."""
    other = archive({**entries(), "assets/content.bin": b"other"})
    return with_pairs(signed(other, v2=[by("B")]), pairs_of(v2_only())[1])
