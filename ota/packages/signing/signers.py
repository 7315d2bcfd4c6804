"""The data of one signer of schemes v2 and v3: the part of the format that both schemes share.

Source: "APK Signature Scheme v2", section "Verification", Android Open Source Project documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ota.packages.signing.algorithms import ALGORITHMS, Content, check_signature, signatures_used
from ota.packages.signing.blocks import Reader
from ota.packages.signing.certificates import SigningCertificate
from ota.packages.signing.refusals import bad

MAX_SIGNERS = 10
"""Android refuses more."""


@dataclass(frozen=True)
class Claim:
    """The digests that a signer has signed. Phones compare those in ``used``."""

    digests: tuple[tuple[Content, bytes], ...]
    used: frozenset[Content]


class SignedData:
    """Signed bytes whose signature holds. Its parts have to be read in the order of the format."""

    def __init__(
        self, data: bytes, signatures: Reader, public_key: bytes, *, what: str, min_sdk: int
    ) -> None:
        """Raise `Rejected` unless the key made each signature that a phone from ``min_sdk`` on verifies."""
        found = [(each.number(), each.value()) for each in signatures.each()]
        self._ids = [key for key, _ in found]
        self._public_key = public_key
        used = signatures_used(found, min_sdk)
        for algorithm, signature in used:
            check_signature(algorithm, public_key, signature, data)
        self._used = frozenset(algorithm.content for algorithm, _ in used)
        self.reader = Reader(data, what)

    def claim(self) -> Claim:
        """Read the digests.

        Raises `Rejected` unless they list the algorithms of the signatures, with one value for each kind of
        digest.
        """
        found = [(each.number(), each.value()) for each in self.reader.nested().each()]
        if [key for key, _ in found] != self._ids:
            raise bad("its digests and its signatures list different algorithms")
        digests = tuple((ALGORITHMS[key].content, digest) for key, digest in found if key in ALGORITHMS)
        if len(set(digests)) != len({content for content, _ in digests}):
            raise bad("it has two different digests of one kind")
        return Claim(digests, self._used)

    def certificate(self) -> SigningCertificate:
        """Read the signer's certificate, the first of its chain.

        Raises `Rejected` unless its key has signed.
        """
        chain = [SigningCertificate(each) for each in _values(self.reader.nested())]
        if not chain:
            raise bad("it has no certificate")
        for certificate in chain:
            _ = certificate.parsed
        if chain[0].public_key != self._public_key:
            raise bad("its certificate belongs to another key than the one that signed")
        return chain[0]

    def attributes(self, once: Iterable[int]) -> Mapping[int, bytes]:
        """Read the additional attributes by id. Raises `Rejected` if one of ``once`` occurs twice."""
        found: dict[int, bytes] = {}
        for each in self.reader.nested().each():
            key = each.number()
            if key in found and key in once:
                raise bad("an attribute of it is there twice")
            found[key] = each.rest()
        return found


def _values(reader: Reader) -> Iterable[bytes]:
    while reader:
        yield reader.value()
