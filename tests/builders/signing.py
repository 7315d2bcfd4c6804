"""Signing an APK with the APK Signature Scheme v2, as published by the Android Open Source Project."""

from __future__ import annotations

import datetime
import hashlib
import struct
from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

V2 = 0x7109871A
RSA_PKCS1_SHA256 = 0x0103
MAGIC = b"APK Sig Block 42"
CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Signer:
    key: rsa.RSAPrivateKey
    certificate: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.certificate).hexdigest()


@cache
def signer(name: str) -> Signer:
    """A signer with a certificate of its own; the same one for the same name in one run."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=10_000))
        .sign(key, hashes.SHA256())
    )
    return Signer(key, certificate.public_bytes(serialization.Encoding.DER))


def sign_v2(apk: bytes, by: Signer) -> bytes:
    """The archive with a signing block before its central directory."""
    end = apk.rindex(b"PK\x05\x06")
    directory = struct.unpack_from("<I", apk, end + 16)[0]
    digest = _digest([apk[:directory], apk[directory:end], apk[end:]])
    block = _signing_block(_signer_block(digest, by))
    moved_end = apk[end : end + 16] + struct.pack("<I", directory + len(block)) + apk[end + 20 :]
    return apk[:directory] + block + apk[directory:end] + moved_end


def _digest(sections: list[bytes]) -> bytes:
    chunks = [section[start : start + CHUNK] for section in sections for start in range(0, len(section), CHUNK)]
    digests = [hashlib.sha256(b"\xa5" + struct.pack("<I", len(chunk)) + chunk).digest() for chunk in chunks]
    return hashlib.sha256(b"\x5a" + struct.pack("<I", len(digests)) + b"".join(digests)).digest()


def _signer_block(digest: bytes, by: Signer) -> bytes:
    one_digest = _sized(struct.pack("<I", RSA_PKCS1_SHA256) + _sized(digest))
    signed_data = _sized(one_digest) + _sized(_sized(by.certificate)) + _sized(b"")
    signature = by.key.sign(signed_data, padding.PKCS1v15(), hashes.SHA256())
    public = by.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    one_signature = _sized(struct.pack("<I", RSA_PKCS1_SHA256) + _sized(signature))
    return _sized(_sized(_sized(signed_data) + _sized(one_signature) + _sized(public)))


def _signing_block(value: bytes) -> bytes:
    pair = struct.pack("<QI", len(value) + 4, V2) + value
    size = struct.pack("<Q", len(pair) + 8 + len(MAGIC))
    return size + pair + size + MAGIC


def _sized(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data
