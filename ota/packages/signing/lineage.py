"""The proof of rotation, in which each older signer's key has signed the certificate of the next.

Source: "APK Signature Scheme v3", section "Proof-of-rotation and self-trusted-old-certs structs", Android
Open Source Project documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

from ota.packages.signing.algorithms import ALGORITHMS, check_signature
from ota.packages.signing.blocks import Reader
from ota.packages.signing.certificates import SigningCertificate
from ota.packages.signing.refusals import bad

PROOF_OF_ROTATION = 0x3BA06F8C
_WHAT = "its proof of rotation"
_VERSION = 1
_INSTALLED_DATA = 0x01


@dataclass(frozen=True)
class Node:
    """A past signer, or at the end the present one.

    ``flags`` are the rights that it keeps with its successors.
    """

    certificate: SigningCertificate
    flags: int

    @property
    def may_be_updated(self) -> bool:
        """Whether its successors' builds can replace its own and take over the installed data."""
        return bool(self.flags & _INSTALLED_DATA)


def read(proof: bytes) -> tuple[Node, ...]:
    """Return the signers, oldest first.

    Raises `Rejected` unless each has signed the next and none occurs twice.
    """
    reader = Reader(proof, _WHAT)
    if reader.number() != _VERSION:
        raise bad(f"{_WHAT} has a version that is unknown")
    nodes: list[Node] = []
    certificates: set[SigningCertificate] = set()
    expected = 0
    for each in reader.each():
        data, flags, algorithm_for_next, signature = each.value(), each.number(), each.number(), each.value()
        signed = Reader(data, _WHAT)
        node = Node(SigningCertificate(signed.value()), flags)
        algorithm = signed.number()
        _ = node.certificate.parsed
        if nodes:
            if algorithm != expected or algorithm not in ALGORITHMS:
                raise bad(f"{_WHAT} uses an algorithm that is unknown, or not the one that it says")
            check_signature(ALGORITHMS[algorithm], nodes[-1].certificate.public_key, signature, data)
        if node.certificate in certificates:
            raise bad(f"{_WHAT} names one signer twice")
        nodes.append(node)
        certificates.add(node.certificate)
        expected = algorithm_for_next
    if not nodes:
        raise bad(f"{_WHAT} is empty")
    return tuple(nodes)
