"""Receivers and settings for tests about alerts."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from flask import Flask

from ota.config import Settings
from tests.receivers import Receiver, receive_mail, receive_webhooks


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = receive_webhooks()
    yield found
    found.close()


@pytest.fixture
def postbox() -> Iterator[Receiver]:
    found = receive_mail()
    yield found
    found.close()


@pytest.fixture
def inside(settings: Settings) -> Settings:
    """Settings of an installation that can send into its own network."""
    return msgspec.structs.replace(settings, webhook_private=True)


@pytest.fixture
def in_app(app: Flask) -> Iterator[None]:
    """Run the test inside the application."""
    with app.app_context():
        yield
