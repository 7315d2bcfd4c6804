"""Signatures of APKs: the server's verdict on every file of the corpus, compared with apksigner's."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ota.config import ROOT
from ota.core.platforms import Scheme
from ota.errors import Rejected
from ota.packages.facts import Signature
from ota.packages.signing.refusals import parsing
from tests.builders import schemes as s
from tests.builders.jars import jar
from tests.builders.packages import archive
from tests.builders.schemes import lineage, pairs_of, places, signed, with_pairs
from tests.conftest import missing
from tests.packages.cases import all_three, by, jarred, plain, v2_only, who
from tests.packages.corpus import CASES, VALID
from tests.packages.verdicts import APKSIGNER, DIFFERENCES, Verdict, ours, theirs, verdict_on


def verdict(apk: bytes, folder: Path, min_sdk: int = 24, target_sdk: int | None = None) -> Verdict:
    path = folder / "app.apk"
    path.write_bytes(apk)
    return verdict_on(path, min_sdk, target_sdk)


@pytest.mark.parametrize("name", CASES)
def test_each_file_gets_its_verdict(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    verdict = ours(case, tmp_path)
    assert verdict.code == case.expected, verdict.message
    if verdict.is_accepted:
        assert verdict.signers == case.signers
    else:
        assert verdict.message.endswith(".")


def test_apksigner_has_the_same_verdict_on_each_file_but_those_listed(tmp_path: Path) -> None:
    if APKSIGNER is None:
        missing("apksigner")
    cases = [case for case in CASES.values() if not case.is_v31]
    verdicts = theirs(cases, tmp_path)
    differing = {}
    for case in cases:
        mine, other = ours(case, tmp_path), verdicts[case.name]
        if mine.is_accepted != other.is_accepted or mine.signers != other.signers:
            differing[case.name] = f"{mine.code}: {mine.message} / {other.code}: {other.message}"
    assert set(differing) == set(DIFFERENCES), differing


def test_the_document_lists_the_verdict_on_each_file() -> None:
    text = (ROOT / "docs" / "signatures.md").read_text()
    listed = dict(
        re.findall(r"^\| ([\w.-]+) \| `?(\w+)`? \| (?:valid|refused|knows no v3.1) \|", text, re.MULTILINE)
    )
    assert listed == {case.name: case.expected for case in CASES.values()}, (
        "python -m scripts.verdicts > docs/signatures.md"
    )


@pytest.mark.parametrize("mask", [0x01, 0xFF])
@pytest.mark.parametrize("build", [v2_only, all_three], ids=["v2", "v1-v2-v3"])
def test_no_byte_can_be_changed(build: Callable[[], bytes], mask: int, tmp_path: Path) -> None:
    apk, min_sdk = build(), 21 if build is all_three else 24
    assert verdict(apk, tmp_path, min_sdk).is_accepted
    for at in range(len(apk)):
        changed = apk[:at] + bytes([apk[at] ^ mask]) + apk[at + 1 :]
        assert not verdict(changed, tmp_path, min_sdk).is_accepted, at


def test_a_signing_block_that_overlaps_the_entries_is_rejected(tmp_path: Path) -> None:
    assert verdict(_overlapping(), tmp_path).code in {"ambiguous_archive", "bad_signature"}


def _overlapping() -> bytes:
    """Return an APK whose signing block starts inside the last entry, with two sizes that agree."""
    size = 1000
    apk = archive(
        {"first": (size + 8).to_bytes(8, "little") + bytes(100), "AndroidManifest.xml": b"manifest"}, 0
    )
    end, directory = places(apk)
    start = apk.index((size + 8).to_bytes(8, "little"))
    block = bytes(size + 16 - (directory - start) - 24) + (size + 8).to_bytes(8, "little") + s.MAGIC
    return apk[:directory] + block + apk[directory:end] + s.at_offset(apk[end:], directory + len(block))


def test_garbage_inside_a_signing_block_is_rejected_and_nothing_else(tmp_path: Path) -> None:
    """The parsers raise many types for garbage. Any exception but a rejection fails this test."""
    chance = random.Random(1)
    base = signed(
        jarred("A", header="2, 3"), v2=[by()], v3=[by("B", attributes=[lineage(who("A"), who("B"))])]
    )
    pairs = pairs_of(base)[1]
    for _ in range(600):
        broken = []
        for key, value in pairs:
            data = bytearray(value)
            for _ in range(chance.randint(1, 4)):
                at = chance.randrange(len(data))
                data[at : at + chance.randint(0, 6)] = chance.randbytes(chance.randint(0, 6))
            broken.append((key, bytes(data)))
        apk = with_pairs(base, broken)
        assert apk == base or not verdict(apk, tmp_path, 21).is_accepted


def test_garbage_inside_a_v1_signature_is_rejected_and_nothing_else(tmp_path: Path) -> None:
    chance = random.Random(2)
    files = jar({"AndroidManifest.xml": b"manifest"}, who("A"), signed_attributes=True)
    name = "META-INF/SIGNER0.RSA"
    for _ in range(600):
        data = bytearray(files[name])
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            data[at : at + chance.randint(0, 6)] = chance.randbytes(chance.randint(1, 6))
        verdict(archive({**files, name: bytes(data)}), tmp_path, 21)


def signature(apk: bytes, folder: Path, min_sdk: int = 24) -> Signature:
    found = verdict(apk, folder, min_sdk).signature
    assert found is not None
    return found


def test_an_accepted_file_tells_everything_about_its_signer(tmp_path: Path) -> None:
    found = signature(all_three(), tmp_path, 21)
    assert (found.scheme, found.schemes) == (Scheme.V3, (Scheme.V3, Scheme.V2, Scheme.V1))
    assert (found.signer, found.signers, found.lineage) == (who("A").sha256, (who("A").sha256,), ())
    assert found.certificate is not None
    assert (found.certificate.subject, found.certificate.issuer) == ("CN=A", "CN=A")
    assert found.certificate.key == "RSA 2048"
    assert found.certificate.sha256 == who("A").sha256
    assert found.certificate.not_before.isoformat() == "2024-01-01T00:00:00+00:00"


@pytest.mark.parametrize("kind", ["EC P-256", "EC P-384", "DSA 1024"])
def test_keys_are_shown_by_kind_and_size(kind: str, tmp_path: Path) -> None:
    found = signature(signed(plain(), v2=[by(f"A:{kind}")]), tmp_path)
    assert found.certificate is not None
    assert found.certificate.key == kind


def test_a_lineage_names_those_who_may_be_followed(tmp_path: Path) -> None:
    proof = lineage(who("A"), who("B"), who("C"))
    found = signature(signed(plain(28), v3=[by("C", attributes=[proof])]), tmp_path, 28)
    assert found.lineage == tuple(who(name).sha256 for name in "ABC")
    assert found.signer == who("C").sha256


def test_a_lineage_leaves_out_those_who_lost_the_right(tmp_path: Path) -> None:
    proof = lineage(who("A"), who("B"), flags=s.ALL_FLAGS & ~1)
    found = signature(signed(plain(28), v3=[by("B", attributes=[proof])]), tmp_path, 28)
    assert found.lineage == (who("B").sha256,)


def test_v31_is_the_signer_and_follows_the_one_of_v3(tmp_path: Path) -> None:
    case = CASES["valid-v1-v2-v3-v31"]
    found = signature(case.build(), tmp_path, case.min_sdk)
    assert (found.scheme, found.schemes) == (Scheme.V31, (Scheme.V31, Scheme.V3, Scheme.V2, Scheme.V1))
    assert (found.signer, found.lineage) == (who("B").sha256, (who("A").sha256, who("B").sha256))


def test_schemes_that_no_phone_looks_at_are_not_called_verified(tmp_path: Path) -> None:
    assert signature(all_three(), tmp_path, 28).schemes == (Scheme.V3,)


def test_a_target_of_android_11_needs_more_than_v1(tmp_path: Path) -> None:
    assert verdict(jarred("A"), tmp_path, 21, 29).code == VALID
    assert verdict(jarred("A"), tmp_path, 21, 30).code == "weak_signature"
    assert verdict(signed(jarred("A", header="2"), v2=[by()]), tmp_path, 21, 30).code == VALID


def test_a_block_of_very_many_parts_is_refused(tmp_path: Path) -> None:
    apk = v2_only()
    pairs = pairs_of(apk)[1]
    assert verdict(with_pairs(apk, [*pairs, *[(7, b"")] * 999]), tmp_path).code == VALID
    assert verdict(with_pairs(apk, [*pairs, *[(7, b"")] * 1000]), tmp_path).code == "bad_signature"


def test_pairs_must_fill_their_block(tmp_path: Path) -> None:
    apk = v2_only()
    end, directory = places(apk)
    start, pairs = pairs_of(apk)
    block = s.signing_block(pairs)[8:-24] + b"1234567"
    size = (len(block) + 24).to_bytes(8, "little")
    whole = size + block + size + s.MAGIC
    longer = apk[:start] + whole + apk[directory:end] + s.at_offset(apk[end:], start + len(whole))
    assert verdict(longer, tmp_path).code == "bad_signature"


def test_only_failures_on_hostile_bytes_become_rejections() -> None:
    with pytest.raises(OSError, match="disk"), parsing("anything"):
        raise OSError("disk")
    with pytest.raises(Rejected) as caught, parsing("the key"):
        raise ValueError
    assert caught.value.code == "bad_signature"
