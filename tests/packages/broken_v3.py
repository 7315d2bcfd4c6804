"""APKs whose newer signatures were stripped, and APKs with a broken v3 or v3.1 signature or lineage."""

from __future__ import annotations

from tests.builders import schemes as s
from tests.builders.keys import Signer
from tests.builders.schemes import attribute, lineage, pairs_of, signed, with_pairs
from tests.packages.cases import BAD, VALID, add, all_three, by, jarred, plain, who
from tests.packages.mutations import flip_bit


def _without(apk: bytes, *keys: int) -> bytes:
    return with_pairs(apk, [pair for pair in pairs_of(apk)[1] if pair[0] not in keys])


add("stripped-v2-and-v3-from-v1", lambda: _without(all_three(), s.V2, s.V3), "stripped_signature", min_sdk=21)
add("stripped-v2-from-v1", lambda: _without(all_three(), s.V2), "stripped_signature", min_sdk=21)
add("stripped-v3-from-v1-and-v2", lambda: _without(all_three(), s.V3), "stripped_signature", min_sdk=21)
add(
    "stripped-v3-from-v2", lambda: _without(signed(plain(), v2=[by()], v3=[by()]), s.V3), "stripped_signature"
)
add(
    "stripped-v3-from-v2-without-protection",
    lambda: _without(signed(plain(), v2=[by()], v3=[by()], is_protected=False), s.V3),
)
add("stripped-v1-header-names-unknown", lambda: jarred("A", header="7, x"), min_sdk=21)

add("v3-signer-is-not-v2-signer", lambda: signed(plain(), v2=[by("B")], v3=[by()]), BAD)
add("v3-signer-is-not-v1-signer", lambda: signed(jarred("B"), v3=[by()]), BAD, min_sdk=21)
add("v3-with-two-v2-signers", lambda: signed(plain(), v2=[by(), by("B")], v3=[by()]), BAD)
add("v3-two-signers-for-one-range", lambda: signed(plain(28), v3=[by(), by("B")]), BAD, min_sdk=28)
add("v3-gap-between-ranges", lambda: signed(plain(28), v3=[by(last=29), by(first=31)]), BAD, min_sdk=28)
add("v3-starts-too-late", lambda: signed(plain(28), v3=[by(first=30)]), BAD, min_sdk=28)
add("v3-ends-too-early", lambda: signed(plain(28), v3=[by(last=33)]), BAD, min_sdk=28)
add("v3-range-backwards", lambda: signed(plain(28), v3=[by(first=33, last=28)]), BAD, min_sdk=28)
add("v3-two-ranges-differ", lambda: signed(plain(28), v3=[by(outer_first=27)]), BAD, min_sdk=28)
add(
    "v3-two-ranges-by-strangers",
    lambda: signed(plain(28), v3=[by(last=29), by("B", first=30)]),
    BAD,
    min_sdk=28,
)
add(
    "v3-broken-beside-v2",
    lambda: signed(plain(), v2=[by()], v3=[by(claims={s.PKCS1_SHA256: bytes(32)})]),
    BAD,
)
add(
    "v2-broken-beside-v3",
    lambda: signed(plain(), v2=[by(claims={s.PKCS1_SHA256: bytes(32)})], v3=[by()]),
    BAD,
)
add("v2-broken-beside-v3-from-android-9", lambda: _broken_v2_beside_v3(), min_sdk=28)
add("v3-weak-key-in-lineage", lambda: _rotated(who("A:RSA 768"), who("B")), "weak_signature", min_sdk=28)
add("lineage-broken", lambda: _rotated(who("A"), who("B"), broken_at=1), BAD, min_sdk=28)
add(
    "lineage-broken-in-the-middle",
    lambda: _rotated(who("A"), who("C"), who("B"), broken_at=1),
    BAD,
    min_sdk=28,
)
add("lineage-ends-with-another", lambda: _rotated(who("A"), who("B"), who("C")), BAD, min_sdk=28)
add("lineage-with-a-signer-twice", lambda: _rotated(who("B"), who("A"), who("B")), BAD, min_sdk=28)
add("lineage-of-unknown-version", lambda: _rotated(who("A"), who("B"), version=2), BAD, min_sdk=28)
add("lineage-cut", lambda: _rotated(cut=True), BAD, min_sdk=28)
add("lineage-begins-with-another-than-v2", lambda: _rotated_beside_v2(who("C"), who("B")), BAD)
add("lineage-has-v2-signer-in-the-middle", lambda: _rotated_beside_v2(who("C"), who("A"), who("B")), BAD)


def _broken_v2_beside_v3() -> bytes:
    """Return an APK for Android 9 and later, which ignore v2 if there is v3."""
    return signed(plain(28), v2=[by(claims={s.PKCS1_SHA256: bytes(32)})], v3=[by()])


def _rotated(*signers: Signer, cut: bool = False, **options: object) -> bytes:
    key, proof = lineage(*(signers or (who("A"), who("B"))), **options)  # type: ignore[arg-type]
    return signed(plain(28), v3=[by("B", attributes=[(key, proof[:-10] if cut else proof)])])


def _rotated_beside_v2(*signers: Signer) -> bytes:
    return signed(plain(), v2=[by()], v3=[by("B", attributes=[lineage(*signers)])])


def _v31(
    *,
    first: int = 33,
    rotated_from: int | None = 33,
    last: int = 32,
    proof: bool = True,
    v31_last: int = s.LAST_SDK,
    v3_by: str = "A",
) -> bytes:
    rotation = [] if rotated_from is None else [attribute(s.ROTATION_MIN_SDK, rotated_from)]
    attributes = [lineage(who("A"), who("B"))] if proof else []
    return signed(
        plain(28),
        v3=[by(v3_by, last=last, attributes=rotation)],
        v31=[by("B", first=first, last=v31_last, attributes=attributes)],
    )


for _name, _code, _build in [
    ("stripped-from-v3", "stripped_signature", lambda: _without(_v31(), s.V31)),
    ("without-v3", "stripped_signature", lambda: _without(_v31(), s.V3)),
    ("other-version-than-v3-says", BAD, lambda: _v31(rotated_from=34)),
    ("v3-says-nothing", VALID, lambda: _v31(rotated_from=None)),
    ("gap-before", BAD, lambda: _v31(last=30)),
    ("from-android-9-leaves-a-gap", BAD, lambda: _v31(first=28, rotated_from=28, last=28)),
    ("ends-too-early", BAD, lambda: _v31(v31_last=40)),
    ("without-lineage", BAD, lambda: _v31(proof=False)),
    ("v3-signer-not-in-lineage", BAD, lambda: _v31(v3_by="C")),
    ("twice", "duplicate_block", lambda: with_pairs(_v31(), [*pairs_of(_v31())[1], (s.V31, b"")])),
    (
        "broken",
        BAD,
        lambda: with_pairs(
            _v31(),
            [(key, value if key != s.V31 else flip_bit(value, 60)) for key, value in pairs_of(_v31())[1]],
        ),
    ),
]:
    add(f"v31-{_name}", _build, _code, min_sdk=28, is_v31=True, by=("B",))
