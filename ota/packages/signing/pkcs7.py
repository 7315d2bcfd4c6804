"""The signature blocks of scheme v1: PKCS #7 over a signature file.

Sources: RFC 5652 for the format, and Android's ``apksig`` for the combinations of algorithms that phones
accept and the rules about certificates and signed attributes.
"""

from __future__ import annotations

import hashlib
from typing import Any

from asn1crypto import cms, core

from ota.packages.signing.algorithms import is_signed_by, load_key
from ota.packages.signing.certificates import SigningCertificate
from ota.packages.signing.refusals import bad, parsing

_MANY_SIGNER_INFOS_SDK = 24
_SIGNED_ATTRIBUTES_SDK = 19
_MAX_SIGNER_INFOS = 10

_RSA, _DSA, _EC = "1.2.840.113549.1.1", "1.2.840.10040.4", "1.2.840.10045"
_DSA_SHA2, _ECDSA_SHA2 = "2.16.840.1.101.3.4.3", "1.2.840.10045.4.3"
_SUPPORTED_SINCE: dict[tuple[str, str], int] = {
    ("md5", f"{_RSA}.1"): 0,
    ("md5", f"{_RSA}.4"): 21,
    ("sha1", f"{_RSA}.1"): 0,
    ("sha1", f"{_RSA}.5"): 0,
    ("sha224", f"{_RSA}.1"): 21,
    ("sha224", f"{_RSA}.14"): 21,
    ("sha256", f"{_RSA}.1"): 18,
    ("sha256", f"{_RSA}.11"): 18,
    ("sha384", f"{_RSA}.1"): 18,
    ("sha384", f"{_RSA}.12"): 21,
    ("sha512", f"{_RSA}.1"): 18,
    ("sha512", f"{_RSA}.13"): 21,
    ("sha1", f"{_DSA}.1"): 0,
    ("sha1", f"{_DSA}.3"): 9,
    ("sha224", f"{_DSA}.1"): 22,
    ("sha224", f"{_DSA_SHA2}.1"): 21,
    ("sha256", f"{_DSA}.1"): 22,
    ("sha256", f"{_DSA_SHA2}.2"): 21,
    ("sha1", f"{_EC}.2.1"): 18,
    ("sha1", f"{_EC}.4.1"): 18,
    ("sha224", f"{_EC}.2.1"): 21,
    ("sha224", f"{_ECDSA_SHA2}.1"): 21,
    ("sha256", f"{_EC}.2.1"): 18,
    ("sha256", f"{_ECDSA_SHA2}.2"): 21,
    ("sha384", f"{_EC}.2.1"): 18,
    ("sha384", f"{_ECDSA_SHA2}.3"): 21,
    ("sha512", f"{_EC}.2.1"): 18,
    ("sha512", f"{_ECDSA_SHA2}.4"): 21,
}
"""(digest, signature algorithm) -> the first API level at which every phone knows the pair."""


def signer_of(block: bytes, signed_file: bytes, min_sdk: int) -> SigningCertificate:
    """Return the certificate of the first signature in the block that holds for the file.

    Phones before Android 7 look at the first signature only, so for builds that they can install no other
    counts. Raises `Rejected` if none holds.
    """
    with parsing("a v1 signature block"):
        content = cms.ContentInfo.load(block)
        if content["content_type"].native != "signed_data":
            raise bad("a v1 signature block is no PKCS #7 signature")
        signed = content["content"]
        certificates = _certificates(signed["certificates"])
        infos = list(signed["signer_infos"])
        wanted = infos[: 1 if min_sdk < _MANY_SIGNER_INFOS_SDK else _MAX_SIGNER_INFOS]
        content_type = signed["encap_content_info"]["content_type"].dotted
        found = [_verified(info, certificates, signed_file, content_type, min_sdk) for info in wanted]
    for certificate in found:
        if certificate is not None:
            return certificate
    raise bad("a v1 signature was not made over its signature file")


def _certificates(choices: Any) -> list[SigningCertificate]:
    if isinstance(choices, core.Void):
        return []
    return [SigningCertificate(each.chosen.dump()) for each in choices if each.name == "certificate"]


def _verified(
    info: Any, certificates: list[SigningCertificate], signed_file: bytes, content_type: str, min_sdk: int
) -> SigningCertificate | None:
    """Return the signer, or None if the signature doesn't hold.

    Raises `Rejected` for a signature that some phone would not accept in any case.
    """
    digest = info["digest_algorithm"]["algorithm"].native
    pair = digest, info["signature_algorithm"]["algorithm"].dotted
    if _SUPPORTED_SINCE.get(pair, min_sdk + 1) > min_sdk:
        raise bad("its v1 signature uses an algorithm that phones which it is meant for don't know")
    certificate = _named(info["sid"], certificates)
    if certificate is None or not certificate.may_sign_entries():
        raise bad("its v1 signature names a certificate that is missing, or may not be used for signatures")
    data = signed_file
    attributes = info["signed_attrs"]
    if not isinstance(attributes, core.Void):
        if min_sdk < _SIGNED_ATTRIBUTES_SDK:
            raise bad("its v1 signature has signed attributes, which protect nothing before Android 4.4")
        if not _fits(
            attributes, content_type, hashlib.new(digest, signed_file, usedforsecurity=False).digest()
        ):
            return None
        data = b"\x31" + attributes.dump()[1:]  # Signed as a SET, stored under another tag.
    holds = is_signed_by(load_key(certificate.public_key), info["signature"].native, data, digest)
    return certificate if holds else None


def _named(sid: Any, certificates: list[SigningCertificate]) -> SigningCertificate | None:
    for certificate in certificates:
        if sid.name == "issuer_and_serial_number":
            body = certificate.parsed["tbs_certificate"]
            is_same_serial = body["serial_number"].native == sid.chosen["serial_number"].native
            if is_same_serial and body["issuer"] == sid.chosen["issuer"]:
                return certificate
        elif (
            certificate.parsed.key_identifier is not None
            and certificate.parsed.key_identifier == sid.chosen.native
        ):
            return certificate
    return None


def _fits(attributes: Any, content_type: str, digest: bytes) -> bool:
    values: dict[str, list[Any]] = {}
    for attribute in attributes:
        values.setdefault(attribute["type"].native, []).extend(attribute["values"])
    types, digests = values.get("content_type", []), values.get("message_digest", [])
    if len(types) != 1 or len(digests) != 1:
        raise bad("its v1 signature has signed attributes that don't say what was signed")
    return bool(types[0].dotted == content_type and digests[0].native == digest)
