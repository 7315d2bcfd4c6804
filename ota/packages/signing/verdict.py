"""All signatures of an APK: which are required, whether each holds, and whether their signers agree.

Sources: "Application Signing" and the pages of the schemes, Android Open Source Project documentation, and
Android's ``apksig`` (``apksigner verify``) for what has to agree between schemes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from ota.core.platforms import Scheme
from ota.core.signers import SignerRange, Signers
from ota.errors import Rejected
from ota.packages.archive import Archive
from ota.packages.facts import Signature
from ota.packages.signing import v1, v2, v3
from ota.packages.signing.blocks import SigningBlock, signing_block
from ota.packages.signing.certificates import SigningCertificate
from ota.packages.signing.digests import content_digests
from ota.packages.signing.refusals import bad, unsigned, weak
from ota.packages.signing.signers import Claim

_V2_SDK, _V3_SDK, _V31_SDK = 24, 28, 33
_V2_NEEDED_TARGET = 30
_NEWEST_FIRST = (Scheme.V31, Scheme.V3, Scheme.V2, Scheme.V1)


@dataclass
class _Found:
    """The signatures verified so far. None if a scheme is absent, or if no phone of the range looks at it."""

    v31: v3.SignedV3 | None = None
    v3: v3.SignedV3 | None = None
    v2: v2.SignedV2 | None = None
    v1: tuple[SigningCertificate, ...] | None = None
    schemes: list[Scheme] = field(default_factory=list)


def verify(archive: Archive, *, min_sdk: int, target_sdk: int | None) -> Signature:
    """Return the verified signature of the APK for all phones from API level ``min_sdk`` on.

    The newest scheme names the signer. If it doesn't hold, the APK is rejected and older schemes are no
    fallback. Older schemes are verified as well if some phone of the range looks at them. ``lineage`` leaves
    out former signers whose installed apps the rotation does not allow to update (the flag for installed
    data). Raises `Rejected` unless every phone accepts the APK.
    """
    block = signing_block(archive)
    found = _Found()
    if block is not None and block.schemes:
        _read_block(archive, block, min_sdk, found)
    if min_sdk < _V2_SDK or not found.schemes:
        if not v1.is_present(archive):
            raise _without_v1(found)
        found.v1 = v1.read(archive, min_sdk=min_sdk, found=frozenset(found.schemes))
        found.schemes.append(Scheme.V1)
    _check_same_signers(found)
    if found.schemes == [Scheme.V1] and target_sdk is not None and target_sdk >= _V2_NEEDED_TARGET:
        raise weak(
            "an app for Android 11 (target SDK 30) or later needs a v2 signature. Sign it with v2 and v3 "
            "enabled"
        )
    return _signature(found, min_sdk)


def _read_block(archive: Archive, block: SigningBlock, min_sdk: int, found: _Found) -> None:
    """Verify the signatures in the signing block that some phone uses, and the file's digests."""
    schemes = block.schemes
    if Scheme.V31 in schemes:
        found.v31 = v3.read(schemes[Scheme.V31], Scheme.V31)
    if Scheme.V3 in schemes:
        found.v3 = v3.read(schemes[Scheme.V3], Scheme.V3)
    if found.v31 is not None:
        v3.check_v31(found.v31, found.v3)
    if found.v3 is not None:
        v3.check_v3(found.v3, found.v31, min_sdk)
    if Scheme.V2 in schemes and (min_sdk < _V3_SDK or found.v3 is None):
        found.v2 = v2.read(schemes[Scheme.V2], min_sdk=min_sdk, has_v3=found.v3 is not None)
    by_scheme = {Scheme.V31: found.v31, Scheme.V3: found.v3, Scheme.V2: found.v2}
    present = {scheme: signed for scheme, signed in by_scheme.items() if signed is not None}
    _check_digests(archive, block, [claim for signed in present.values() for claim in signed.claims])
    found.schemes += present


def _check_digests(archive: Archive, block: SigningBlock, claims: list[Claim]) -> None:
    computed = content_digests(archive, block, {content for claim in claims for content in claim.used})
    for claim in claims:
        if any(computed.get(content, digest) != digest for content, digest in claim.digests):
            raise bad("the file was changed after it was signed")


def _without_v1(found: _Found) -> Rejected:
    if not found.schemes:
        return unsigned()
    return Rejected(
        "bad_signature",
        "The APK runs on Android before 7.0, whose phones know only v1 signatures, and it has none. "
        "Sign it with v1 as well, or raise minSdk to 24.",
    )


def _check_same_signers(found: _Found) -> None:
    """Raise `Rejected` unless old and new phones see the same signer, or one that the newer follows."""
    if found.v1 is not None and found.v2 is not None and set(found.v1) != set(found.v2.certificates):
        raise bad("its v1 and v2 signatures are by different signers")
    older = found.v1 if found.v1 is not None else found.v2.certificates if found.v2 is not None else None
    newest = found.v31 or found.v3
    if older is None or newest is None:
        return
    if len(older) != 1:
        raise bad("it has several signers in an old signature and one in the new")
    if newest.newest.past[0] != older[0]:
        raise bad(
            "its old signature is by somebody else than its v3 signature, or than the first of its proof of "
            "rotation"
        )


def _identity(signers: tuple[SigningCertificate, ...]) -> str:
    """Return the signer's fingerprint, or for several the SHA-256 over their sorted fingerprints.

    Phones compare all signers of an APK, in any order.
    """
    if len(signers) == 1:
        return signers[0].sha256
    return hashlib.sha256("".join(sorted(signer.sha256 for signer in signers)).encode()).hexdigest()


def _predecessors(signer: v3.SignerV3) -> tuple[str, ...]:
    """Return the former signers whose installed apps this signer can update."""
    return tuple(node.certificate.sha256 for node in signer.lineage[:-1] if node.may_be_updated)


def _ranges(found: _Found, min_sdk: int) -> Signers:
    """Return the signers by API level: v1 or v2 before Android 9, v3 from there, v3.1 from Android 13."""
    older = found.v2.certificates if found.v2 is not None else found.v1
    ranges = {min_sdk: SignerRange(min_sdk, _identity(older))} if older else {}
    for signed, least in ((found.v3, _V3_SDK), (found.v31, _V31_SDK)):
        for signer in signed.signers if signed is not None else ():
            first = max(signer.first, least, min_sdk)
            ranges = {level: each for level, each in ranges.items() if level < first}
            ranges[first] = SignerRange(first, signer.certificate.sha256, _predecessors(signer))
    return tuple(ranges.values())


def _signature(found: _Found, min_sdk: int) -> Signature:
    newest = found.v31 or found.v3
    lineage: tuple[str, ...] = ()
    if newest is not None:
        signers: tuple[SigningCertificate, ...] = (newest.newest.certificate,)
        if newest.newest.lineage:
            lineage = (*_predecessors(newest.newest), newest.newest.certificate.sha256)
    else:
        signers = found.v2.certificates if found.v2 is not None else found.v1 or ()
    schemes = tuple(scheme for scheme in _NEWEST_FIRST if scheme in found.schemes)
    return Signature(
        scheme=schemes[0],
        signer=_identity(signers),
        signers=tuple(signer.sha256 for signer in signers),
        lineage=lineage,
        schemes=schemes,
        certificate=signers[0].facts(),
        ranges=_ranges(found, min_sdk),
    )
