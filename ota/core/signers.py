"""Whether a phone accepts one build as the update of another. Its age decides which signature it checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignerRange:
    """The signer for phones from API level ``first`` up to the next range. On iOS: the team, from 0 on.

    ``follows`` are earlier signers whose builds this one can update on those phones.
    """

    first: int
    signer: str
    follows: tuple[str, ...] = ()


Signers = tuple[SignerRange, ...]
"""The ranges of one build, in order."""


def break_in(history: Iterable[Signers], build: Signers) -> tuple[str, str] | None:
    """Return the first (old signer, new signer) for which a phone would refuse this build as an update."""
    for published in history:
        for level in sorted({each.first for each in (*published, *build)}):
            old, new = _at(published, level), _at(build, level)
            if old and new and new.signer != old.signer and old.signer not in new.follows:
                return old.signer, new.signer
    return None


def _at(signers: Signers, level: int) -> SignerRange | None:
    return next((each for each in reversed(signers) if each.first <= level), None)
