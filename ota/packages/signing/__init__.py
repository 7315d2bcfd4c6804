"""Who signed an APK: its signatures verified as Android and its build tools do, never merely read.

`verify` is the one entry. Everything in here works on bytes that nobody has vouched for, and fails closed: whatever can't
be read, is unknown or does not fit is a `Rejected`.
"""

from __future__ import annotations

from ota.packages.signing.verdict import verify

__all__ = ["verify"]
