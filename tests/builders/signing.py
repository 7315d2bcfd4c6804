"""Signing an APK with scheme v2, the usual case. `tests.builders.schemes` and `jars` have the others."""

from __future__ import annotations

from tests.builders.keys import Signer, signer
from tests.builders.schemes import By, signed

__all__ = ["Signer", "sign_v2", "signer"]


def sign_v2(apk: bytes, by: Signer) -> bytes:
    """Return the archive with a v2 signature."""
    return signed(apk, v2=[By(by)])
