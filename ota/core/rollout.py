"""Who is inside a partial rollout.

The draw is a hash, not dice: asking again never changes the answer, raising the rollout never ejects anyone, and each
release (its own salt) draws its own first devices.
"""

from __future__ import annotations

import hashlib

FULL = 10_000
"""Everybody, in basis points."""


def bucket(salt: str, device_id: str) -> int:
    """The device's number, 0..9999, in the release that has this salt.

    First 8 bytes, big-endian, of SHA-256(salt + ":" + device_id), modulo 10000.
    """
    digest = hashlib.sha256(f"{salt}:{device_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % FULL


def is_in_rollout(basis_points: int, salt: str, device_id: str | None) -> bool:
    """Is the device inside a rollout of so many basis points (0 nobody, 10000 everybody)?

    A device without an id is never inside a partial rollout.
    """
    if basis_points >= FULL:
        return True
    if basis_points <= 0 or not device_id:
        return False
    return bucket(salt, device_id) < basis_points
