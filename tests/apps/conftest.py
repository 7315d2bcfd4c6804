"""Who acts in the tests of apps and channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ota.core.permissions import Role
from tests.conftest import EMAILS, Api


@pytest.fixture
def in_app(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.fixture
def admin(app: Flask) -> Api:
    """A program with an administrator's token."""
    return Api(app, Role.ADMIN)


@pytest.fixture
def browser(sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    """An administrator's browser."""
    return sign_in(EMAILS[Role.ADMIN])
