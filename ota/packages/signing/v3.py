"""APK Signature Schemes v3 (Android 9 and later) and v3.1 (Android 13 and later), without the file's digests.

Sources: "APK Signature Scheme v3" and "APK Signature Scheme v3.1", Android Open Source Project documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ota.core.platforms import Scheme
from ota.packages.signing import lineage
from ota.packages.signing.blocks import Reader
from ota.packages.signing.certificates import SigningCertificate
from ota.packages.signing.refusals import bad, stripped
from ota.packages.signing.signers import MAX_SIGNERS, Claim, SignedData

_ROTATION_MIN_SDK = 0x559F8B02
_FOR_DEVELOPMENT_RELEASE = 0xC2A6B3BA
_ONCE = {lineage.PROOF_OF_ROTATION, _ROTATION_MIN_SDK}
_FIRST_SDK, _FIRST_SDK_V31 = 28, 33
_LAST_SDK = 0x7FFFFFFF


@dataclass(frozen=True)
class SignerV3:
    """A signer for the API levels ``first`` to ``last``. From ``rotated_from`` on, v3.1 takes over."""

    certificate: SigningCertificate
    claim: Claim
    first: int
    last: int
    lineage: tuple[lineage.Node, ...]
    rotated_from: int | None
    is_for_development: bool

    @property
    def past(self) -> tuple[SigningCertificate, ...]:
        """The certificates of the lineage, oldest first and this signer's own last.

        Only that one without a rotation.
        """
        return tuple(node.certificate for node in self.lineage) or (self.certificate,)


@dataclass(frozen=True)
class SignedV3:
    """The signers, by ascending API levels. Each phone looks at one of them."""

    signers: tuple[SignerV3, ...]

    @property
    def newest(self) -> SignerV3:
        return self.signers[-1]

    @property
    def first(self) -> int:
        return self.signers[0].first

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(signer.claim for signer in self.signers)


def read(block: bytes, scheme: Scheme) -> SignedV3:
    """Return the signers after verifying each signature and lineage.

    Raises `Rejected` if two signers are for one phone, or no lineage leads from one to the next.
    """
    what = f"its {scheme} signature"
    readers = list(Reader(block, what).nested().each())
    if not 1 <= len(readers) <= MAX_SIGNERS:
        raise bad(f"{what} has {len(readers)} signers")
    signers = tuple(
        sorted((_signer(each, what) for each in readers), key=lambda each: (each.last, each.first))
    )
    for older, newer in pairwise(signers):
        # Ranges can share a version only for an Android version that is still in development.
        shares_version = older.last == newer.first and newer.is_for_development
        if older.last + 1 != newer.first and not shares_version:
            raise bad(f"{what} has two signers for one version of Android, or none for some")
        if newer.past[: len(older.past)] != older.past and (
            older.lineage or older.certificate not in newer.past
        ):
            raise bad(f"{what} has two signers, and no proof that one follows the other")
    return SignedV3(signers)


def check_v3(v3: SignedV3, v31: SignedV3 | None, min_sdk: int) -> None:
    """Raise `Rejected` unless v3 serves all phones that v3.1 does not, and both agree where v3.1 starts."""
    for signer in v3.signers:
        if signer.rotated_from is not None and v31 is None:
            raise stripped("v3.1", "v3")
        if signer.rotated_from is not None and v31 is not None and signer.rotated_from != v31.first:
            raise bad(
                "its v3 and v3.1 signatures name different versions of Android for the change of the key"
            )
    needed = _LAST_SDK if v31 is None else max(v31.first, _FIRST_SDK_V31) - 1
    if v3.first > max(min_sdk, _FIRST_SDK) or v3.newest.last < needed:
        raise bad("its v3 signature leaves out versions of Android that it is meant for")


def check_v31(v31: SignedV3, v3: SignedV3 | None) -> None:
    """Raise `Rejected` unless v3.1 covers all later phones and its signer follows a v3 signer."""
    if v3 is None:
        raise stripped("v3", "v3.1")
    if v31.newest.last != _LAST_SDK:
        raise bad("its v3.1 signature leaves out versions of Android that it is meant for")
    if any(signer.certificate not in v31.newest.past for signer in v3.signers):
        raise bad(
            "the signer of its v3.1 signature has no proof that it follows the signer of its v3 signature"
        )


def _signer(reader: Reader, what: str) -> SignerV3:
    data, first, last = reader.value(), reader.number(), reader.number()
    signatures, public_key = reader.nested(), reader.value()
    if not first <= last <= _LAST_SDK:
        raise bad(f"{what} is for a range of Android versions that is none")
    signed = SignedData(data, signatures, public_key, what=what, min_sdk=max(first, _FIRST_SDK))
    claim, certificate = signed.claim(), signed.certificate()
    if (signed.reader.number(), signed.reader.number()) != (first, last):
        raise bad(f"{what} names two different ranges of Android versions")
    attributes = signed.attributes(_ONCE)
    proof, rotation = attributes.get(lineage.PROOF_OF_ROTATION), attributes.get(_ROTATION_MIN_SDK)
    nodes = () if proof is None else lineage.read(proof)
    if nodes and nodes[-1].certificate != certificate:
        raise bad(f"{what} has a proof of rotation that ends with another signer")
    rotated_from = None if rotation is None else Reader(rotation, what).number()
    return SignerV3(
        certificate, claim, first, last, nodes, rotated_from, _FOR_DEVELOPMENT_RELEASE in attributes
    )
