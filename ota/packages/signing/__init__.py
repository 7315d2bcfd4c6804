"""Verification of an APK's signatures, as Android and its build tools do it.

`verify` is the only entry point. All input is untrusted and everything here fails closed: bytes that can't be
read, are unknown or don't fit raise `Rejected`.
"""

from __future__ import annotations

from ota.packages.signing.verdict import verify

__all__ = ["verify"]
