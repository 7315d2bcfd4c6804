"""APKs that nobody should install: damaged, changed after signing, stripped, or signed by the wrong people."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

from tests.builders import schemes as s
from tests.builders.keys import Signer, signer
from tests.builders.packages import archive
from tests.builders.schemes import By, attribute, jar, lineage, pairs_of, places, signed, with_pairs
from tests.packages.cases import VALID, add, all_three, by, entries, flipped, jarred, plain, v2_only, who

BAD = "bad_signature"


def flip(
    name: str,
    expected: str,
    where: Callable[[bytes], int],
    base: Callable[[], bytes] = v2_only,
    **more: object,
) -> None:
    """A case with one bit changed. ``where`` finds it in the file."""

    def build() -> bytes:
        apk = base()
        return flipped(apk, where(apk))

    add(f"flipped-{name}", build, expected, **more)


def _directory(apk: bytes) -> int:
    return places(apk)[1]


def _end(apk: bytes) -> int:
    return places(apk)[0]


def _block(apk: bytes) -> int:
    return pairs_of(apk)[0]


def _digest(apk: bytes) -> int:
    # Before it: sizes of pair, signers, signer, signed data, digests, digest; algorithm and size.
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


def _jar(change: Callable[[dict[str, bytes]], dict[str, bytes]], **options: object) -> Callable[[], bytes]:
    """A v1 signed APK whose entries were changed afterwards, with checksums that fit."""
    return lambda: archive(change(jar(entries(21), who("A"), **options)))  # type: ignore[arg-type]


def _with(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: {**files, name: files[name].replace(old, new, 1)}


for _name, _code, _build in [
    ("changed-file", BAD, _jar(_with("assets/content.bin", b"The", b"the"))),
    ("extra-file", BAD, _jar(lambda files: {**files, "assets/more.bin": b"more"})),
    ("extra-dex", BAD, _jar(lambda files: {**files, "classes.dex": b"dex\n035\0"})),
    (
        "missing-file",
        BAD,
        _jar(lambda files: {name: data for name, data in files.items() if name != "assets/content.bin"}),
    ),
    ("swapped-files", BAD, _jar(lambda files: {**files, "assets/content.bin": files["AndroidManifest.xml"]})),
    ("changed-manifest", BAD, _jar(_with("META-INF/MANIFEST.MF", b"Digest: ", b"Digest: A"))),
    (
        "changed-manifest-head-without-whole-digest",
        VALID,
        _jar(_with("META-INF/MANIFEST.MF", b"By: tests", b"By: guests"), whole=False),
    ),
    (
        "changed-section-without-whole-digest",
        BAD,
        _jar(_with("META-INF/MANIFEST.MF", b"-Digest: ", b"-Digest: A"), whole=False),
    ),
    ("changed-signature-file", BAD, _jar(_with("META-INF/SIGNER0.SF", b"By: tests", b"By: guests"))),
    (
        "changed-signature-file-with-attributes",
        BAD,
        _jar(_with("META-INF/SIGNER0.SF", b"By: tests", b"By: guests"), signed_attributes=True),
    ),
    (
        "changed-block",
        BAD,
        _jar(lambda files: {**files, "META-INF/SIGNER0.RSA": flipped(files["META-INF/SIGNER0.RSA"], -50)}),
    ),
    (
        "cut-block",
        BAD,
        _jar(lambda files: {**files, "META-INF/SIGNER0.RSA": files["META-INF/SIGNER0.RSA"][:200]}),
    ),
    ("empty-block", BAD, _jar(lambda files: {**files, "META-INF/SIGNER0.RSA": b""})),
    (
        "without-manifest",
        "unsigned",
        _jar(lambda files: {name: data for name, data in files.items() if not name.endswith(".MF")}),
    ),
    (
        "without-signature-file",
        "unsigned",
        _jar(lambda files: {name: data for name, data in files.items() if not name.endswith(".SF")}),
    ),
    (
        "without-version",
        BAD,
        lambda: archive(_resigned(jar(entries(21), who("A")), b"Signature-Version", b"Signature-Fashion")),
    ),
    (
        "block-by-another",
        BAD,
        _jar(lambda files: {**files, "META-INF/SIGNER0.RSA": _foreign(files["META-INF/SIGNER0.SF"])}),
    ),
    ("twice-in-manifest", BAD, lambda: archive(_twice(jar(entries(21), who("A"))))),
]:
    add(f"v1-{_name}", _build, _code, min_sdk=21)
add(
    "v1-second-signer-covers-less",
    lambda: jarred("A", "B", without={1: "assets/content.bin"}),
    BAD,
    min_sdk=21,
)
add("v1-sha256-before-android-4.3", lambda: jarred("A", min_sdk=15), BAD, min_sdk=15)
add("v1-ecdsa-before-android-5", lambda: jarred("A:EC P-256", min_sdk=18), BAD, min_sdk=18)
add(
    "v1-signed-attributes-before-android-4.4",
    lambda: jarred("A", min_sdk=18, signed_attributes=True),
    BAD,
    min_sdk=18,
)
add("v1-only-for-target-30", lambda: jarred("A", target_sdk=30), "weak_signature", min_sdk=21, target_sdk=30)
add("v1-weak-key", lambda: jarred("A:RSA 768"), "weak_signature", min_sdk=21)
add("v1-broken-beside-v2", lambda: signed(_broken_v1(21), v2=[by()]), BAD, min_sdk=21)
add("v1-broken-beside-v2-from-android-7", lambda: signed(_broken_v1(24), v2=[by()]))
add("v1-missing-for-android-6", lambda: signed(plain(21), v2=[by()]), BAD, min_sdk=21)
add("v1-by-another-than-v2", lambda: signed(jarred("B"), v2=[by()]), BAD, min_sdk=21)
add("v1-by-one-of-two-v2-signers", lambda: signed(jarred("A"), v2=[by(), by("B")]), BAD, min_sdk=21)


def _resigned(files: dict[str, bytes], old: bytes, new: bytes) -> dict[str, bytes]:
    text = files["META-INF/SIGNER0.SF"].replace(old, new)
    return {**files, "META-INF/SIGNER0.SF": text, "META-INF/SIGNER0.RSA": s.pkcs7(who("A"), text)}


def _foreign(text: bytes) -> bytes:
    """A signature by somebody else under A's name."""
    return s.pkcs7(replace(who("B"), certificate=who("A").certificate), text)


def _twice(files: dict[str, bytes]) -> dict[str, bytes]:
    manifest = files["META-INF/MANIFEST.MF"] + s.section("assets/content.bin", "SHA-256", b"other")
    changed = {**files, "META-INF/MANIFEST.MF": manifest}
    old = s.encoded("SHA-256", files["META-INF/MANIFEST.MF"]).encode()
    return _resigned(changed, old, s.encoded("SHA-256", manifest).encode())


def _broken_v1(min_sdk: int) -> bytes:
    files = jar(entries(min_sdk), who("A"), header="2")
    return archive({**files, "assets/content.bin": b"other"})


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
    """PSS and PKCS #1 share the digest SHA-256, and here they name two."""
    return by("A", s.PKCS1_SHA256, s.PSS_SHA256, claims={s.PSS_SHA256: bytes(32)})


def _moved_signature() -> bytes:
    """The signing block of another APK."""
    other = archive({**entries(), "assets/content.bin": b"other"})
    return with_pairs(signed(other, v2=[by("B")]), pairs_of(v2_only())[1])


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
    """From Android 9 on nobody looks at v2 when there is v3."""
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
    said = [] if rotated_from is None else [attribute(s.ROTATION_MIN_SDK, rotated_from)]
    attributes = [lineage(who("A"), who("B"))] if proof else []
    return signed(
        plain(28),
        v3=[by(v3_by, last=last, attributes=said)],
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
            [(key, value if key != s.V31 else flipped(value, 60)) for key, value in pairs_of(_v31())[1]],
        ),
    ),
]:
    add(f"v31-{_name}", _build, _code, min_sdk=28, is_v31=True, by=("B",))

add("prepended-dex", lambda: b"dex\n035\0" + bytes(56) + v2_only(), "prepended")
add("prepended-zeros", lambda: bytes(16) + v2_only(), "not_a_package")
add("trailing-bytes", lambda: v2_only() + b"more", "trailing_bytes")
add("cut-off", lambda: v2_only()[:-30], "damaged_archive")
add("comment-added", lambda: v2_only()[:-2] + b"\x04\0more", BAD)
add("bytes-between-block-and-directory", lambda: _shifted(), "hidden_bytes")
add("signed-with-lying-local-name", lambda: signed(_lying(plain()), v2=[by()]), "lying_header")
add("signed-with-lying-local-size", lambda: signed(flipped(plain(), 22), v2=[by()]), "lying_header")
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
    """The first local header names another file than the directory."""
    return apk.replace(b"AndroidManifest.xml", b"AndroidManifest.xmk", 1)


def _commented(apk: bytes) -> bytes:
    end, _ = places(apk)
    return apk[:-2] + b"\x16\0" + apk[end : end + 20] + b"\0\0"


def _two_cases() -> bytes:
    return archive({**entries(), "assets/Content.bin": b"other"})
