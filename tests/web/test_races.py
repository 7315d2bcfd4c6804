"""Two people, or two servers, that act at the same moment."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg
from flask import Flask

from ota.apps import apps
from ota.builds import versions
from ota.clock import utcnow
from ota.config import ROOT
from ota.core.permissions import Role
from ota.db import reader, transaction
from ota.errors import OtaError
from ota.history.audit import SYSTEM
from ota.people import accounts
from tests.conftest import EMAILS, PASSWORD, SECOND_PUBLISHER, Api


def test_two_administrators_never_take_each_others_role(app: Flask) -> None:
    pair = (EMAILS[Role.ADMIN], SECOND_PUBLISHER)

    def demote(email: str) -> bool:
        with app.app_context():
            try:
                with transaction() as session:
                    accounts.set_role(
                        session, SYSTEM, accounts.find(session, email), Role.VIEWER, now=utcnow()
                    )
            except OtaError:
                return False
            return True

    for _ in range(5):
        with app.app_context(), transaction() as session:
            for email in pair:
                accounts.set_role(session, SYSTEM, accounts.find(session, email), Role.ADMIN, now=utcnow())
        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(demote, pair)) == [False, True]


def test_one_of_many_who_create_the_same_app_wins(app: Flask) -> None:
    def create(_: int) -> int:
        with app.app_context():
            try:
                with transaction() as session:
                    apps.create(session, SYSTEM, slug="same", name="Same", now=utcnow())
            except Exception as error:
                return (
                    409
                    if isinstance(error, OtaError) or "uq_apps_slug" in str(error) or "UNIQUE" in str(error)
                    else 500
                )
            return 201

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(create, range(6))) == [201, *[409] * 5]


def test_a_version_is_either_deleted_or_published(app: Flask, api: Api) -> None:
    for code in range(1, 6):
        version_id = api.version(code, f"1.{code}.0")["id"]

        def act(verb: str, version_id: int = version_id) -> int:
            caller = Api(app)
            path = f"/api/versions/{version_id}"
            return (caller.delete(path) if verb == "delete" else caller.post(f"{path}/activate")).status_code

        with ThreadPoolExecutor(2) as pool:
            statuses = list(pool.map(act, ["delete", "activate"]))
        assert sorted(statuses)[0] == 200, statuses
        assert sorted(statuses)[1] in {404, 409}, statuses
        with app.app_context():
            exists = (
                versions.find_by_code(reader(), apps.find(reader(), None), versions.Platform.ANDROID, code)
                is not None
            )
        assert exists is (statuses[1] == 200)


def test_two_servers_that_start_on_one_new_database_make_one_administrator(
    postgres_url: str, tmp_path: Path
) -> None:
    name = f"fresh_{uuid4().hex}"
    with psycopg.connect(f"{postgres_url}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OTA_")}
    servers = []
    for number in range(2):
        given = {
            "OTA_DATA_DIR": str(tmp_path / str(number)),
            "OTA_DATABASE_URL": f"{postgres_url}/{name}",
            "OTA_ADMIN_PASSWORD": PASSWORD,
        }
        environ = {**kept, **given}
        command = [sys.executable, "-m", "flask", "--app", "app", "prepare"]
        servers.append(
            subprocess.Popen(
                command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        )
    said = [server.communicate(timeout=60)[0] for server in servers]
    assert [server.returncode for server in servers] == [0, 0], said
    assert sum("First administrator" in text for text in said) == 1
