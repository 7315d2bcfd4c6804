"""Passwords are hashed by argon2id with production's parameters. A login replaces weaker hashes."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from flask import Flask
from sqlalchemy import select

from ota.clock import utcnow
from ota.core.permissions import Role
from ota.db import reader, transaction
from ota.errors import Invalid
from ota.models import User
from ota.people import accounts, passwords
from tests import speed
from tests.conftest import EMAILS, PASSWORD

EMAIL = EMAILS[Role.PUBLISHER]


@pytest.fixture
def real_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords as production does."""
    monkeypatch.setattr(passwords, "_hasher", speed.REAL_HASHER)


@pytest.mark.usefixtures("real_hashing")
def test_a_hash_costs_what_production_spends() -> None:
    kept = passwords.hashed(PASSWORD, at_least=10)
    parameters = extract_parameters(kept)
    assert parameters.type is Type.ID
    assert parameters.memory_cost >= 19_456  # KiB; the least that OWASP recommends with two passes.
    assert parameters.time_cost >= 2
    assert passwords.matches(kept, PASSWORD)
    assert not passwords.matches(kept, PASSWORD + "x")
    assert not passwords.is_outdated(kept)


def test_the_cheap_hashes_of_other_tests_would_be_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = passwords.hashed(PASSWORD, at_least=10)
    monkeypatch.setattr(passwords, "_hasher", speed.REAL_HASHER)
    assert passwords.is_outdated(cheap)


def test_a_login_replaces_a_weaker_hash(app: Flask) -> None:
    with app.app_context():
        with transaction() as session:
            user = session.scalars(select(User).where(User.email == EMAIL)).one()
            weaker = user.password_hash = PasswordHasher(time_cost=1, memory_cost=16, parallelism=2).hash(
                PASSWORD
            )
        with transaction() as session:
            accounts.authenticate(session, EMAIL, PASSWORD, now=utcnow(), address=None)
        kept = reader().scalars(select(User).where(User.email == EMAIL)).one().password_hash
    assert kept != weaker
    assert passwords.matches(kept, PASSWORD)
    assert not passwords.is_outdated(kept)


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_a_password_of_the_wrong_length_is_refused(password: str) -> None:
    with pytest.raises(Invalid) as caught:
        passwords.hashed(password, at_least=10)
    assert (caught.value.code, caught.value.details["field"]) == ("bad_password", "password")
    assert not passwords.matches(speed.REAL_HASHER.hash("another one"), password)
