"""Would a phone take this build as the update of that one? Phones of different ages look at different signatures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignerRange:
    """Who signed for phones from API level ``first`` on, up to the next range; on iOS the team, from 0 on.

    ``follows``: former signers whose builds this one may update, on those phones.
    """

    first: int
    signer: str
    follows: tuple[str, ...] = ()


Signers = tuple[SignerRange, ...]
"""The ranges of one build, in order."""


def break_in(history: Iterable[Signers], build: Signers) -> tuple[str, str] | None:
    """The first (old signer, new signer) where some phone that has a build of the history would refuse this one."""
    for published in history:
        for level in sorted({each.first for each in (*published, *build)}):
            old, new = _at(published, level), _at(build, level)
            if old and new and new.signer != old.signer and old.signer not in new.follows:
                return old.signer, new.signer
    return None


def _at(signers: Signers, level: int) -> SignerRange | None:
    return next((each for each in reversed(signers) if each.first <= level), None)
