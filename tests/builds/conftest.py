"""An upload that waits for a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.builders.packages import apk
from tests.conftest import Api


@pytest.fixture
def upload_id(app: Flask, api: Api) -> Iterator[str]:
    """The id of an upload that no worker has claimed yet, with the application's context pushed."""
    found = api.send(apk()).json["upload"]["id"]
    with app.app_context():
        yield found
