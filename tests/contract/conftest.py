"""One server and one database for the whole table. Each case has its own app there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.conftest import copied_database, serving, settings_for


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Start a server for a module, on either database. The cases do not use its default app."""
    folder = tmp_path_factory.mktemp("contract")
    with copied_database(request, folder) as url, serving(settings_for(folder, database_url=url)) as app:
        yield app
