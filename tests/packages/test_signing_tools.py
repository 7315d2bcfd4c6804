"""APKs signed by Android's own ``apksigner``, an independent producer whose files have to be accepted."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from ota.core.platforms import Scheme
from ota.packages.facts import Signature
from tests.builders.keys import Signer
from tests.conftest import missing
from tests.packages.cases import plain, who
from tests.packages.verdicts import APKSIGNER, verdict_on

ALL = {Scheme.V1, Scheme.V2, Scheme.V3}


class Tool:
    """``apksigner``, and a folder for its keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> None:
        subprocess.run([str(APKSIGNER), *arguments], check=True, capture_output=True, timeout=60)

    def key(self, by: Signer) -> list[str]:
        """Return the arguments that name a signer, after writing its key and certificate to files."""
        key, certificate = self.folder / f"{by.sha256}.pk8", self.folder / f"{by.sha256}.der"
        key.write_bytes(by.private_key)
        certificate.write_bytes(by.certificate)
        return ["--key", str(key), "--cert", str(certificate)]

    def sign(self, apk: bytes, *signers: Signer, min_sdk: int, options: tuple[str, ...] = ()) -> Signature:
        """Have the tool sign the APK, and return the signature found in it."""
        source, target = self.folder / "in.apk", self.folder / "out.apk"
        source.write_bytes(apk)
        names: list[str] = []
        for number, signer in enumerate(signers):
            names += [
                *(["--next-signer"] if number else []),
                *self.key(signer),
                "--v1-signer-name",
                f"S{number}",
            ]
        self.run("sign", *options, *names, "--in", str(source), "--out", str(target))
        verdict = verdict_on(target, min_sdk, 29)
        assert verdict.signature is not None, verdict.message
        return verdict.signature

    def rotate(self, old: Signer, new: Signer, *options: str, source: str | None = None) -> str:
        """Return the path of the file with the proof of rotation."""
        target = str(self.folder / f"{new.sha256}.lineage")
        before = ["--in", source] if source else []
        self.run(
            "rotate",
            *before,
            "--out",
            target,
            "--old-signer",
            *self.key(old),
            *options,
            "--new-signer",
            *self.key(new),
        )
        return target


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    if APKSIGNER is None:
        missing("apksigner")
    return Tool(tmp_path)


@pytest.mark.parametrize("kind", ["A", "A:RSA 4096", "A:EC P-256", "A:EC P-384"])
def test_all_schemes_of_the_tool_are_found(tool: Tool, kind: str) -> None:
    found = tool.sign(plain(21), who(kind), min_sdk=21)
    assert (set(found.schemes), found.signer, found.lineage) == (ALL, who(kind).sha256, ())


@pytest.mark.parametrize(
    ("enabled", "min_sdk"), [("1", 15), ("1", 21), ("2", 24), ("3", 28), ("12", 21), ("23", 24)]
)
def test_each_combination_of_the_tool_is_accepted(tool: Tool, enabled: str, min_sdk: int) -> None:
    options = tuple(
        f"--v{number}-signing-enabled={'true' if number in enabled else 'false'}" for number in "123"
    )
    found = tool.sign(plain(min_sdk), who("A"), min_sdk=min_sdk, options=options)
    assert set(found.schemes) == {Scheme(f"v{number}") for number in enabled}


@pytest.mark.parametrize("kind", ["A", "A:EC P-256"])
def test_the_tool_and_we_agree_on_fs_verity(tool: Tool, kind: str) -> None:
    found = tool.sign(plain(28), who(kind), min_sdk=28, options=("--verity-enabled",))
    assert found.signer == who(kind).sha256


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("A", "SHA256withRSA"), ("A", "SHA512withRSA"), ("A:EC P-256", "SHA256withECDSA")]
)
def test_files_of_jarsigner_are_accepted(kind: str, algorithm: str, tmp_path: Path) -> None:
    """jarsigner is an older tool. It writes signed attributes and a digest of the manifest's main section."""
    jarsigner = shutil.which("jarsigner")
    if jarsigner is None:
        missing("jarsigner")
    signer, store, target = who(kind), tmp_path / "store.p12", tmp_path / "out.apk"
    certificate = x509.load_der_x509_certificate(signer.certificate)
    store.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"s", signer.key, certificate, None, BestAvailableEncryption(b"secret")
        )
    )
    target.write_bytes(plain(21))
    options = [
        "-keystore",
        str(store),
        "-storepass",
        "secret",
        "-sigalg",
        algorithm,
        "-digestalg",
        "SHA-256",
        str(target),
        "s",
    ]
    subprocess.run([str(jarsigner), *options], check=True, capture_output=True, timeout=60)
    verdict = verdict_on(target, 21, 29)
    assert verdict.signature is not None, verdict.message
    assert (verdict.signature.signer, verdict.signature.schemes) == (signer.sha256, (Scheme.V1,))


def test_several_signers_of_the_tool_are_found(tool: Tool) -> None:
    found = tool.sign(plain(21), who("A"), who("B"), min_sdk=21, options=("--v3-signing-enabled=false",))
    assert set(found.signers) == {who("A").sha256, who("B").sha256}
    assert found.scheme == Scheme.V2


def test_a_rotation_of_the_tool_is_followed(tool: Tool) -> None:
    first = tool.rotate(who("A"), who("B"))
    second = tool.rotate(who("B"), who("C:EC P-256"), source=first)
    found = tool.sign(
        plain(21), who("A"), who("B"), who("C:EC P-256"), min_sdk=21, options=("--lineage", second)
    )
    assert found.signer == who("C:EC P-256").sha256
    assert found.lineage == (who("A").sha256, who("B").sha256, who("C:EC P-256").sha256)


def test_a_rotation_of_the_tool_that_took_the_right_away_is_not_followed(tool: Tool) -> None:
    proof = tool.rotate(who("A"), who("B"), "--set-installed-data", "false")
    found = tool.sign(plain(28), who("A"), who("B"), min_sdk=28, options=("--lineage", proof))
    assert found.lineage == (who("B").sha256,)
