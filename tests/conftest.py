"""The cast: a migrated database with four people and an app, copied for every test; on SQLite and on PostgreSQL.

What every test needs in the same form is made once (see `tests/speed.py`). ``OTA_TEST_DATABASES=all`` runs every test that has a
database on both of them, as CI does; without it, modules marked ``sqlite_suffices`` leave PostgreSQL out.
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

# The worker's own function, without a new process for each of a thousand small builds: tests/packages/test_child.py, the
# tests of the queue and those of the whole program read in the child as the server does.
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
    """Skip a test whose service isn't here, or fail where every service has to be."""
    if servers.REQUIRED:
        pytest.fail(f"{service} is missing and OTA_REQUIRE_SERVICES=1")
    pytest.skip(f"{service} is not installed here")


def settings_for(folder: Path, **changes: Any) -> Settings:
    """Settings of a server of its own below a folder."""
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
    """Migrate, make the first administrator as a first start does, and let the others in."""
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
    """A database with the cast in it, of the kind that the fixture's parameter names."""
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
    """Run a test that has a database on each kind of database that it is worth running on."""
    chosen = {mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")}
    if "database_url" not in metafunc.fixturenames or "database_url" in chosen:
        return
    leaves_out = metafunc.definition.get_closest_marker("sqlite_suffices") and not ALL_DATABASES
    kinds = ["sqlite"] if leaves_out else ["sqlite", "postgresql"]
    metafunc.parametrize("database_url", kinds, indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database for this test alone."""
    with copied_database(request, tmp_path) as url:
        yield url


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return settings_for(tmp_path, database_url=database_url)


@contextmanager
def serving(settings: Settings) -> Iterator[Flask]:
    """A server for tests, put away afterwards."""
    app = create_app(settings)
    app.testing = False  # Errors are answered as in production: a test sees what a caller sees.
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
    """Count what devices have reported; answers how many reports."""
    return Drainer(app).drain()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def behind(app: Flask) -> Client:
    """Somebody who asks Flask itself, without the front that answers update checks before it."""
    return Client(cast(Front, app.wsgi_app).behind)


def bearer(role: Role = Role.PUBLISHER) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[role]}"}


class Api:
    """A program with a token."""

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
        """Upload a file, do the worker's work, and answer what became of it."""
        answer = self.send(content, name, **fields)
        assert answer.status_code == 202, answer.text
        upload_id = answer.json["upload"]["id"]
        with self.app.app_context():
            process(self.app, upload_id)
        found: dict[str, Any] = self.get(f"/api/uploads/{upload_id}").json["upload"]
        return found

    def version(self, code: int = 1, version: str = "1.0.0", **build: Any) -> dict[str, Any]:
        """A processed, inactive Android version."""
        upload = self.upload(apk(version=version, code=code, **build))
        assert upload["status"] == "ready", upload
        found: dict[str, Any] = upload["version"]
        return found

    def published(self, code: int = 1, version: str = "1.0.0", **fields: Any) -> dict[str, Any]:
        """A version that everybody is offered; answers its release with the version."""
        made = self.version(code, version)
        if fields:
            self.patch(f"/api/versions/{made['id']}", fields)
        answer = self.post(f"/api/versions/{made['id']}/activate")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json
        return found

    def check(self, current: str = "0.9.0+0", **fields: Any) -> dict[str, Any]:
        """What a device is told."""
        body = {"platform": "android", "current_version": current, "device_id": "device-1", **fields}
        answer = self.client.post("/api/updates/check", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json
        return found


@pytest.fixture
def api(app: Flask) -> Api:
    """A program with a publisher's token."""
    return Api(app)


@pytest.fixture
def sign_in(app: Flask) -> Callable[..., FlaskClient]:
    """A browser in which somebody has logged in."""

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
    """The token in a page's first form, or in its frame."""
    found = re.search(r'name="csrf_token" (?:type="hidden" )?value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]
