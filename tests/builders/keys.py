"""Keys and certificates for signing (RSA, EC and DSA), each generated once in a run."""

from __future__ import annotations

import datetime
import hashlib
import secrets
from dataclasses import dataclass
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey
_CURVES = {"EC P-256": ec.SECP256R1, "EC P-384": ec.SECP384R1}


@dataclass(frozen=True)
class Signer:
    key: PrivateKey
    certificate: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.certificate).hexdigest()

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def private_key(self) -> bytes:
        """PKCS #8, as Android's tools read it."""
        return self.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@cache
def signer(name: str, kind: str = "RSA 2048", serial: int = 1) -> Signer:
    """Return a signer with a self-signed certificate, the same one for the same arguments within a run."""
    key = _key(name, kind)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=10_000))
        .sign(key, hashes.SHA256())
    )
    return Signer(key, certificate.public_bytes(serialization.Encoding.DER))


@cache
def _key(name: str, kind: str) -> PrivateKey:
    """Return the key of this name. Certificates with different serial numbers share it."""
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind]())
    family, size = kind.split()
    if family == "DSA":
        return dsa.generate_private_key(int(size))
    if int(size) < 1024:
        return _weak_rsa_key(int(size))
    return rsa.generate_private_key(public_exponent=65537, key_size=int(size))


def _weak_rsa_key(size: int) -> rsa.RSAPrivateKey:
    """Generate a key that the library rightly refuses to generate."""
    p, q = _prime(size // 2), _prime(size // 2)
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


def _prime(bits: int) -> int:
    while True:
        candidate = secrets.randbits(bits) | 3 << bits - 2 | 1
        if all(pow(base, candidate - 1, candidate) == 1 for base in (2, 3, 5)) and candidate % 65537 != 1:
            return candidate
