"""Signing APKs with scheme v1, as JAR files, also incorrectly.

Source: the JAR File Specification. Written independently of the reader in `ota.packages.signing`, so that no
mistake is made in both.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from asn1crypto import algos, cms, core, x509  # type: ignore[import-untyped]
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.builders.keys import PrivateKey, Signer


def jar(
    entries: Mapping[str, bytes],
    *signers: Signer,
    digest: str = "SHA-256",
    header: str | None = None,
    signed_attributes: bool = False,
    whole: bool = True,
    without: Mapping[int, str] | None = None,
) -> dict[str, bytes]:
    """Return the entries with a v1 signature by each signer.

    ``header`` is the value of ``X-Android-APK-Signed``. Unless ``whole``, the signature files have only
    section digests. ``without`` names, for the signer at an index, the entry that its signature file leaves
    out.
    """
    sections = {
        name: section(name, digest, data)
        for name, data in entries.items()
        if not name.startswith("META-INF/")
    }
    manifest = b"Manifest-Version: 1.0\r\nCreated-By: tests\r\n\r\n" + b"".join(sections.values())
    head = "Signature-Version: 1.0\r\nCreated-By: tests\r\n"
    if whole:
        head += f"{_label(digest)}-Digest-Manifest: {encoded(digest, manifest)}\r\n"
    if header:
        head += f"X-Android-APK-Signed: {header}\r\n"
    found = {**entries, "META-INF/MANIFEST.MF": manifest}
    for index, signer in enumerate(signers):
        left_out = (without or {}).get(index)
        listed = [section(name, digest, raw) for name, raw in sections.items() if name != left_out]
        text = head.encode() + b"\r\n" + b"".join(listed)
        found[f"META-INF/SIGNER{index}.SF"] = text
        found[f"META-INF/SIGNER{index}.{_family(signer.key)}"] = pkcs7(
            signer, text, digest, signed_attributes=signed_attributes
        )
    return found


def section(name: str, digest: str, data: bytes) -> bytes:
    """Return the section of one entry, with its name broken into lines of 70 bytes."""
    line = f"Name: {name}"
    parts = [line[:70], *(" " + line[at : at + 69] for at in range(70, len(line), 69))]
    return ("\r\n".join(parts) + f"\r\n{_label(digest)}-Digest: {encoded(digest, data)}\r\n\r\n").encode()


def _label(digest: str) -> str:
    return digest.replace("SHA-1", "SHA1")


def encoded(digest: str, data: bytes) -> str:
    return base64.b64encode(hashlib.new(digest.replace("-", ""), data).digest()).decode()


def _family(key: PrivateKey) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "EC" if isinstance(key, ec.EllipticCurvePrivateKey) else "DSA"


def pkcs7(by: Signer, text: bytes, digest: str = "SHA-256", *, signed_attributes: bool = False) -> bytes:
    """Return a signature block over a signature file."""
    name = digest.replace("-", "").lower()
    algorithm = algos.DigestAlgorithm({"algorithm": name})
    body = {
        "version": "v1",
        "digest_algorithms": [algorithm],
        "encap_content_info": {"content_type": "data"},
        "certificates": [x509.Certificate.load(by.certificate)],
        "signer_infos": [_signer_info(by, text, name, signed_attributes=signed_attributes)],
    }
    content: bytes = cms.ContentInfo(
        {"content_type": core.ObjectIdentifier("1.2.840.113549.1.7.2").native, "content": body}
    ).dump()
    return content


def _signer_info(by: Signer, text: bytes, name: str, *, signed_attributes: bool) -> cms.SignerInfo:
    certificate = x509.Certificate.load(by.certificate)
    attributes = cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["data"]}),
            cms.CMSAttribute({"type": "message_digest", "values": [hashlib.new(name, text).digest()]}),
        ]
    )
    data = attributes.dump() if signed_attributes else text
    issuer = {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
    info = {
        "version": "v1",
        "sid": cms.SignerIdentifier("issuer_and_serial_number", cms.IssuerAndSerialNumber(issuer)),
        "digest_algorithm": algos.DigestAlgorithm({"algorithm": name}),
        "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": _algorithm(by.key, name)}),
        "signature": _raw_signature(by.key, name, data),
    }
    return cms.SignerInfo({**info, "signed_attrs": attributes} if signed_attributes else info)


def _algorithm(key: PrivateKey, digest: str) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "rsassa_pkcs1v15"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return f"{digest}_ecdsa"
    return "dsa" if digest == "sha1" else f"{digest}_dsa"


def _raw_signature(key: PrivateKey, name: str, data: bytes) -> bytes:
    known: dict[str, hashes.HashAlgorithm] = {
        "sha1": hashes.SHA1(),
        "sha256": hashes.SHA256(),
        "sha512": hashes.SHA512(),
    }
    digest = known[name]
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), digest)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(digest))
    return key.sign(data, digest)
