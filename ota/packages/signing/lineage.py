"""Proof of rotation: each older signer's key has signed the certificate of the next.

Source: "APK Signature Scheme v3", section "Proof-of-rotation and self-trusted-old-certs structs", Android Open Source
Project documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

from ota.packages.signing.algorithms import ALGORITHMS, check
from ota.packages.signing.blocks import Reader
from ota.packages.signing.certificates import SigningCertificate
from ota.packages.signing.refusals import bad

PROOF_OF_ROTATION = 0x3BA06F8C
_WHAT = "its proof of rotation"
_VERSION = 1
_INSTALLED_DATA = 0x01


@dataclass(frozen=True)
class Node:
    """A signer of the past, or the present one at the end. ``flags`` say what its successors still trust it with."""

    certificate: SigningCertificate
    flags: int

    @property
    def may_be_updated(self) -> bool:
        """May a build by this signer be replaced by one of its successors, which gets its data?"""
        return bool(self.flags & _INSTALLED_DATA)


def read(proof: bytes) -> tuple[Node, ...]:
    """The signers, oldest first. Raises `Rejected` unless each was signed by the one before, and none is there twice."""
    reader = Reader(proof, _WHAT)
    if reader.number() != _VERSION:
        raise bad(f"{_WHAT} has a version that is unknown")
    nodes: list[Node] = []
    seen: set[SigningCertificate] = set()
    algorithm_for_next = 0
    for each in reader.each():
        data, flags, algorithm, signature = each.value(), each.number(), each.number(), each.value()
        signed = Reader(data, _WHAT)
        node = Node(SigningCertificate(signed.value()), flags)
        said = signed.number()
        _ = node.certificate.parsed
        if nodes:
            if said != algorithm_for_next or said not in ALGORITHMS:
                raise bad(f"{_WHAT} uses an algorithm that is unknown, or not the one that it says")
            check(ALGORITHMS[said], nodes[-1].certificate.public_key, signature, data)
        if node.certificate in seen:
            raise bad(f"{_WHAT} names one signer twice")
        nodes.append(node)
        seen.add(node.certificate)
        algorithm_for_next = algorithm
    if not nodes:
        raise bad(f"{_WHAT} is empty")
    return tuple(nodes)
