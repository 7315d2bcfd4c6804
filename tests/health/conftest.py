"""Fixtures of the tests of release health."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask


@pytest.fixture
def in_app(app: Flask) -> Iterator[Flask]:
    """The server, with its application context pushed."""
    with app.app_context():
        yield app
