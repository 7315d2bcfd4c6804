"""Signing an APK the ordinary way. `tests.builders.schemes` knows all the others."""

from __future__ import annotations

from tests.builders.keys import Signer, signer
from tests.builders.schemes import By, signed

__all__ = ["Signer", "sign_v2", "signer"]


def sign_v2(apk: bytes, by: Signer) -> bytes:
    """The archive with a signing block before its central directory."""
    return signed(apk, v2=[By(by)])
