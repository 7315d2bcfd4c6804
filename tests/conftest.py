"""The cast: a migrated database with four people and an app, copied for every test, on SQLite and PostgreSQL.

Set-up that is the same for all tests is done once (see `tests/speed.py`). With ``OTA_TEST_DATABASES=all``,
every test that has a database runs on both, as in CI. Without it, modules marked ``sqlite_suffices`` run on
SQLite only.
"""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import Client, TestResponse

from app import create_app
from ota import bootstrap
from ota.builds import worker
from ota.builds.worker import process
from ota.clock import utcnow
from ota.config import Settings
from ota.core.permissions import Role
from ota.db import db, transaction
from ota.history.audit import SYSTEM
from ota.packages import read_here
from ota.parts import part
from ota.people import accounts, tokens
from ota.telemetry.drain import Drainer
from ota.web.journal import Reports
from ota.web.updates.front import Front
from tests import servers, speed
from tests.builders.packages import apk

# Reads packages in this process, which saves a child process for each of a thousand small builds. The child
# process of the server is used in tests/packages/test_child.py, in the tests of the queue and in those of the
# whole program.
worker.read_package = read_here

speed.compile_each_url_rule_once()
speed.compile_each_statement_once()
speed.hash_passwords_cheaply()

PASSWORD = "correct horse battery"
ALL_DATABASES = os.environ.get("OTA_TEST_DATABASES") == "all"
TOKENS = {role: f"ota_token_of_the_{role.value}".ljust(43, "x") for role in Role}
EMAILS = {role: f"{role.value}@example.com" for role in Role}
SECOND_PUBLISHER = "second@example.com"


def missing(service: str) -> None:
    """Skip a test whose service is not installed, or fail if all services are required."""
    if servers.REQUIRED:
        pytest.fail(f"{service} is missing and OTA_REQUIRE_SERVICES=1")
    pytest.skip(f"{service} is not installed here")


def settings_for(folder: Path, **changes: Any) -> Settings:
    """Settings of a server with its data in the folder."""
    chosen: dict[str, Any] = {
        "data_dir": str(folder),
        "secret_key": "k" * 64,
        "base_url": "https://updates.example.com",
        "admin_email": EMAILS[Role.ADMIN],
        "admin_password": PASSWORD,
        "admin_token": TOKENS[Role.ADMIN],
        "login_limit": "1000 per minute",
        "journal_bytes": 16 * 1024**2,
    }
    return Settings(**{**chosen, **changes})


def make_cast(app: Flask, settings: Settings) -> None:
    """Migrate, create the first administrator as a first start does, then the other people and tokens."""
    bootstrap.prepare(app, settings)
    with app.app_context():
        with transaction() as session:
            now = utcnow()
            for role in (Role.VIEWER, Role.PUBLISHER):
                user = accounts.create(
                    session, SYSTEM, email=EMAILS[role], password=PASSWORD, role=role, now=now
                )
                tokens.create(session, SYSTEM, user, name="test", role=role, now=now, secret=TOKENS[role])
            accounts.create(
                session, SYSTEM, email=SECOND_PUBLISHER, password=PASSWORD, role=Role.PUBLISHER, now=now
            )
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    settings = settings_for(folder)
    app = create_app(settings)
    make_cast(app, settings)
    with app.app_context():
        db.session.connection(execution_options={"isolation_level": "AUTOCOMMIT"}).exec_driver_sql(
            "PRAGMA wal_checkpoint(TRUNCATE)"
        )
        db.session.remove()
        db.engine.dispose()
    return folder / "ota.db"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    programs = servers.find_postgres()
    if programs is None:
        missing("PostgreSQL")
        return
    server = servers.PostgresServer(programs)
    server.start()
    yield server.url
    server.remove()


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE template_ota")
    settings = settings_for(tmp_path_factory.mktemp("pg"), database_url=f"{postgres_url}/template_ota")
    make_cast(create_app(settings), settings)
    return "template_ota"


@pytest.fixture
def redis_server() -> Iterator[servers.RedisServer]:
    if shutil.which("redis-server") is None:
        missing("redis-server")
    server = servers.RedisServer()
    server.start()
    yield server
    server.remove()


@contextmanager
def copied_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """A database with the cast, of the kind in the fixture's parameter."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "ota.db")
        yield f"sqlite:///{folder / 'ota.db'}"
        return
    url, template = request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres_template")
    name = f"t_{uuid4().hex}"
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield f"{url}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that has a database on SQLite, and on PostgreSQL unless `sqlite_suffices`."""
    chosen = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
    if "database_url" not in metafunc.fixturenames or "database_url" in chosen:
        return
    leaves_out = metafunc.definition.get_closest_marker("sqlite_suffices") and not ALL_DATABASES
    kinds = ["sqlite"] if leaves_out else ["sqlite", "postgresql"]
    metafunc.parametrize("database_url", kinds, indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database for this test only."""
    with copied_database(request, tmp_path) as url:
        yield url


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return settings_for(tmp_path, database_url=database_url)


@contextmanager
def serving(settings: Settings) -> Iterator[Flask]:
    """An application for a test, closed afterwards."""
    app = create_app(settings)
    app.testing = False  # Errors are answered as in production, not raised into the test.
    speed.share_compiled_templates(app)
    with app.app_context():
        speed.share_compiled_statements(db.engine)
    yield app
    part(Reports, app).close()
    shutil.rmtree(settings.journal_path)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    with serving(settings) as app:
        yield app


def drain(app: Flask) -> int:
    """Count the checks and reports in the journal. Return their number."""
    return Drainer(app).drain()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def behind(app: Flask) -> Client:
    """A client of Flask itself, without the front that answers update checks."""
    return Client(cast(Front, app.wsgi_app).behind)


def bearer(role: Role = Role.PUBLISHER) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[role]}"}


class Api:
    """A client of the API with a token."""

    def __init__(self, app: Flask, role: Role = Role.PUBLISHER) -> None:
        self.app, self.role = app, role
        self.client = app.test_client()

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, headers=bearer(self.role))

    def post(self, path: str, body: Any = None) -> TestResponse:
        if body is None:
            return self.client.post(path, headers=bearer(self.role))
        return self.client.post(path, json=body, headers=bearer(self.role))

    def patch(self, path: str, body: Any) -> TestResponse:
        return self.client.patch(path, json=body, headers=bearer(self.role))

    def delete(self, path: str) -> TestResponse:
        return self.client.delete(path, headers=bearer(self.role))

    def send(self, content: bytes, name: str = "app.apk", **fields: Any) -> TestResponse:
        """Upload a file."""
        data = {"file": (io.BytesIO(content), name), **fields}
        return self.client.post("/api/uploads", data=data, headers=bearer(self.role))

    def upload(self, content: bytes, name: str = "app.apk", **fields: Any) -> dict[str, Any]:
        """Upload a file and process it. Return the upload."""
        answer = self.send(content, name, **fields)
        assert answer.status_code == 202, answer.text
        upload_id = answer.json["upload"]["id"]
        with self.app.app_context():
            process(self.app, upload_id)
        found: dict[str, Any] = self.get(f"/api/uploads/{upload_id}").json["upload"]
        return found

    def version(self, code: int = 1, version: str = "1.0.0", **build: Any) -> dict[str, Any]:
        """Return a processed, inactive Android version."""
        upload = self.upload(apk(version=version, code=code, **build))
        assert upload["status"] == "ready", upload
        found: dict[str, Any] = upload["version"]
        return found

    def published(self, code: int = 1, version: str = "1.0.0", **fields: Any) -> dict[str, Any]:
        """Return a version that is open to all devices, with its release."""
        made = self.version(code, version)
        if fields:
            self.patch(f"/api/versions/{made['id']}", fields)
        answer = self.post(f"/api/versions/{made['id']}/activate")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json
        return found

    def check(self, current: str = "0.9.0+0", **fields: Any) -> dict[str, Any]:
        """Return the answer to a device's update check."""
        body = {"platform": "android", "current_version": current, "device_id": "device-1", **fields}
        answer = self.client.post("/api/updates/check", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json
        return found


@pytest.fixture
def api(app: Flask) -> Api:
    """A client of the API with a publisher's token."""
    return Api(app)


@pytest.fixture
def sign_in(app: Flask) -> Callable[..., FlaskClient]:
    """Return a function that logs a person in and returns the browser."""

    def log_in(who: str = EMAILS[Role.PUBLISHER]) -> FlaskClient:
        browser = app.test_client()
        page = browser.get("/login")
        answer = browser.post(
            "/login", data={"email": who, "password": PASSWORD, "csrf_token": csrf_of(page)}
        )
        assert answer.status_code == 303, answer.text
        return browser

    return log_in


def csrf_of(page: TestResponse) -> str:
    """Return the CSRF token of a page."""
    found = re.search(r'name="csrf_token" (?:type="hidden" )?value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]
