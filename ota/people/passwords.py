"""Keeping and checking passwords: argon2id, never anything longer than a person types."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ota.errors import Invalid

MAX_PASSWORD = 256

_hasher = PasswordHasher()


def hashed(password: str, *, at_least: int) -> str:
    """What is stored of a new password. Raises `Invalid` for one that is too short or too long."""
    if not at_least <= len(password) <= MAX_PASSWORD:
        raise Invalid(
            "bad_password", f"A password has {at_least} to {MAX_PASSWORD} characters.", field="password"
        )
    return _hasher.hash(password)


def matches(password_hash: str, password: str) -> bool:
    if len(password) > MAX_PASSWORD:
        return False
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(password_hash: str) -> bool:
    """Was it hashed with weaker parameters than are used now?"""
    return _hasher.check_needs_rehash(password_hash)
