"""The signature algorithms of schemes v2 and v3, and the only place where public keys are used.

Source: "APK Signature Scheme v2", section "Signature algorithm IDs", Android Open Source Project
documentation. The ids for fs-verity are from the sources of Android's ``apksig``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from ota.packages.signing.refusals import bad, parsing, weak

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),  # noqa: S303 - scheme v1 still uses both
    "sha1": hashes.SHA1(),  # noqa: S303
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_MIN_BITS = 1024
"""Minimum size of an RSA or DSA key. Shorter keys can be broken with modest means."""

Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | dsa.DSAPublicKey


class Content(IntEnum):
    """The method of digesting the file. A phone uses the highest one that it knows."""

    CHUNKED_SHA256 = 1
    VERITY_SHA256 = 2
    CHUNKED_SHA512 = 3


@dataclass(frozen=True)
class Algorithm:
    """A signature algorithm. ``since`` is the first API level that knows it."""

    name: str
    key: type[Key]
    hash: str
    content: Content
    is_pss: bool = False
    since: int = 24


ALGORITHMS = {
    0x0101: Algorithm(
        "RSASSA-PSS with SHA-256", rsa.RSAPublicKey, "sha256", Content.CHUNKED_SHA256, is_pss=True
    ),
    0x0102: Algorithm(
        "RSASSA-PSS with SHA-512", rsa.RSAPublicKey, "sha512", Content.CHUNKED_SHA512, is_pss=True
    ),
    0x0103: Algorithm("RSASSA-PKCS1-v1_5 with SHA-256", rsa.RSAPublicKey, "sha256", Content.CHUNKED_SHA256),
    0x0104: Algorithm("RSASSA-PKCS1-v1_5 with SHA-512", rsa.RSAPublicKey, "sha512", Content.CHUNKED_SHA512),
    0x0201: Algorithm("ECDSA with SHA-256", ec.EllipticCurvePublicKey, "sha256", Content.CHUNKED_SHA256),
    0x0202: Algorithm("ECDSA with SHA-512", ec.EllipticCurvePublicKey, "sha512", Content.CHUNKED_SHA512),
    0x0301: Algorithm("DSA with SHA-256", dsa.DSAPublicKey, "sha256", Content.CHUNKED_SHA256),
    0x0421: Algorithm(
        "RSASSA-PKCS1-v1_5 with SHA-256 over fs-verity",
        rsa.RSAPublicKey,
        "sha256",
        Content.VERITY_SHA256,
        since=28,
    ),
    0x0423: Algorithm(
        "ECDSA with SHA-256 over fs-verity",
        ec.EllipticCurvePublicKey,
        "sha256",
        Content.VERITY_SHA256,
        since=28,
    ),
    0x0425: Algorithm(
        "DSA with SHA-256 over fs-verity", dsa.DSAPublicKey, "sha256", Content.VERITY_SHA256, since=28
    ),
}


def signatures_used(signatures: Iterable[tuple[int, bytes]], min_sdk: int) -> list[tuple[Algorithm, bytes]]:
    """Return the signatures that phones from ``min_sdk`` on verify: each verifies the best one it knows.

    Raises `Rejected` if the oldest phones know none of them.
    """
    best: dict[int, tuple[Algorithm, bytes]] = {}
    for key, signature in signatures:
        algorithm = ALGORITHMS.get(key)
        if algorithm and (
            algorithm.since not in best or algorithm.content > best[algorithm.since][0].content
        ):
            best[algorithm.since] = (algorithm, signature)
    if not best or min(best) > min_sdk:
        raise bad("it uses only algorithms that phones which it is meant for don't know")
    return list(best.values())


def check_signature(algorithm: Algorithm, public_key: bytes, signature: bytes, data: bytes) -> None:
    """Raise `Rejected` unless the key, a DER SubjectPublicKeyInfo, made this signature over the data."""
    key = load_key(public_key)
    if not isinstance(key, algorithm.key):
        raise bad(f"its key can't be used with {algorithm.name}")
    if not is_signed_by(key, signature, data, algorithm.hash, is_pss=algorithm.is_pss):
        raise bad("it was not made over this file with this key")


def load_key(public_key: bytes) -> Key:
    """Return the key of a DER SubjectPublicKeyInfo.

    Raises `Rejected` for another kind of key, or a weak one.
    """
    with parsing("the public key"):
        key = load_der_public_key(public_key)
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | dsa.DSAPublicKey):
        raise bad("its key is neither RSA nor EC nor DSA")
    if not isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < _MIN_BITS:
        raise weak(
            f"its key has {key.key_size} bits, and can be broken. Sign it with an RSA key of 2048 bits or "
            "more, or an EC key"
        )
    return key


def is_signed_by(key: Key, signature: bytes, data: bytes, digest: str, *, is_pss: bool = False) -> bool:
    """Return whether the key made this signature over the data. ``digest`` is a name in `_HASHES`.

    Raises `Rejected` for bytes that are no signature at all.
    """
    algorithm = _HASHES[digest]
    with parsing("the signature"):
        try:
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(signature, data, _padding(algorithm, is_pss=is_pss), algorithm)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(signature, data, ec.ECDSA(algorithm))
            else:
                key.verify(signature, data, algorithm)
        except InvalidSignature:
            return False
    return True


def key_text(key: Key) -> str:
    """Return a key's kind and size for display: ``RSA 2048``, ``EC P-256``, ``DSA 1024``."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        names = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
        return f"EC {names.get(key.curve.name, key.curve.name)}"
    return f"{'RSA' if isinstance(key, rsa.RSAPublicKey) else 'DSA'} {key.key_size}"


def _padding(algorithm: hashes.HashAlgorithm, *, is_pss: bool) -> padding.PSS | padding.PKCS1v15:
    return padding.PSS(padding.MGF1(algorithm), algorithm.digest_size) if is_pss else padding.PKCS1v15()
