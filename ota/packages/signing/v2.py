"""APK Signature Scheme v2 (Android 7 and later), without the file's digests.

Source: "APK Signature Scheme v2", Android Open Source Project documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

from ota.packages.signing.blocks import Reader
from ota.packages.signing.certificates import SigningCertificate
from ota.packages.signing.refusals import bad, stripped
from ota.packages.signing.signers import MAX_SIGNERS, Claim, SignedData

_STRIPPING_PROTECTION = 0xBEEFF00D
_FIRST_SDK = 24


@dataclass(frozen=True)
class SignedV2:
    """All signers in the order of the block, and their claims."""

    certificates: tuple[SigningCertificate, ...]
    claims: tuple[Claim, ...]


def read(block: bytes, *, min_sdk: int, has_v3: bool) -> SignedV2:
    """Return the signers after verifying each signature.

    Raises `Rejected`, also if a signer announces a v3 signature and there is none.
    """
    signers = list(Reader(block, "its v2 signature").nested().each())
    if not 1 <= len(signers) <= MAX_SIGNERS:
        raise bad(f"its v2 signature has {len(signers)} signers, and 1 to {MAX_SIGNERS} are allowed")
    found = [_signer(each, max(min_sdk, _FIRST_SDK), has_v3=has_v3) for each in signers]
    return SignedV2(tuple(certificate for certificate, _ in found), tuple(claim for _, claim in found))


def _signer(reader: Reader, min_sdk: int, *, has_v3: bool) -> tuple[SigningCertificate, Claim]:
    data, signatures, public_key = reader.value(), reader.nested(), reader.value()
    signed = SignedData(data, signatures, public_key, what="its v2 signature", min_sdk=min_sdk)
    claim, certificate = signed.claim(), signed.certificate()
    protection = signed.attributes({_STRIPPING_PROTECTION}).get(_STRIPPING_PROTECTION)
    if protection is not None and Reader(protection, "its v2 signature").number() == 3 and not has_v3:
        raise stripped("v3", "v2")
    return certificate, claim
