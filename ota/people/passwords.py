"""Passwords: hashed with argon2id, and limited in length, so that no login costs too much work."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ota.errors import Invalid

MAX_PASSWORD = 256

_hasher = PasswordHasher()


def hashed(password: str, *, at_least: int) -> str:
    """Return the hash of a new password. Raises `Invalid` for one that is too short or too long."""
    if not at_least <= len(password) <= MAX_PASSWORD:
        raise Invalid(
            "bad_password", f"A password has {at_least} to {MAX_PASSWORD} characters.", field="password"
        )
    return _hasher.hash(password)


def matches(password_hash: str, password: str) -> bool:
    """Return whether the password has this hash."""
    if len(password) > MAX_PASSWORD:
        return False
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(password_hash: str) -> bool:
    """Return whether the hash has weaker parameters than new ones."""
    return _hasher.check_needs_rehash(password_hash)
