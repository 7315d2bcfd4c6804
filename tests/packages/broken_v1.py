"""APKs whose v1 signature is broken, missing, weak, or by another signer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.builders import jars
from tests.builders.jars import jar
from tests.builders.packages import archive
from tests.builders.schemes import signed
from tests.packages.cases import BAD, VALID, add, by, entries, jarred, plain, who
from tests.packages.mutations import flip_bit


def _jar(change: Callable[[dict[str, bytes]], dict[str, bytes]], **options: object) -> Callable[[], bytes]:
    """Return the builder of an APK signed with v1 whose entries were changed later, with checksums that
    match.
    """
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
        _jar(lambda files: {**files, "META-INF/SIGNER0.RSA": flip_bit(files["META-INF/SIGNER0.RSA"], -50)}),
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
    return {**files, "META-INF/SIGNER0.SF": text, "META-INF/SIGNER0.RSA": jars.pkcs7(who("A"), text)}


def _foreign(text: bytes) -> bytes:
    """Return a signature by B under the name of A."""
    return jars.pkcs7(replace(who("B"), certificate=who("A").certificate), text)


def _twice(files: dict[str, bytes]) -> dict[str, bytes]:
    manifest = files["META-INF/MANIFEST.MF"] + jars.section("assets/content.bin", "SHA-256", b"other")
    changed = {**files, "META-INF/MANIFEST.MF": manifest}
    old = jars.encoded("SHA-256", files["META-INF/MANIFEST.MF"]).encode()
    return _resigned(changed, old, jars.encoded("SHA-256", manifest).encode())


def _broken_v1(min_sdk: int) -> bytes:
    files = jar(entries(min_sdk), who("A"), header="2")
    return archive({**files, "assets/content.bin": b"other"})
