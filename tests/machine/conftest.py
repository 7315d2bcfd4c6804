"""Processes of a server on one data folder, started and killed by the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from ota.config import ROOT, Settings
from ota.db import db
from tests.conftest import Api, make_cast, settings_for

LEASE = 3
GATE = "OTA_TEST_GATE"
"""Variable with the file whose removal `tests.machine.broker` waits for.

That module patches its process, so it is never imported here.
"""


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until the condition is true. Fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class Worker:
    """Worker and scheduler as separate processes, with a log to read when a test fails."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.gate = folder / "gate"
        self._folder = folder
        self._settings = settings
        self._processes: list[subprocess.Popen[bytes]] = []

    def _environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OTA_")}
        given = {
            "OTA_DATA_DIR": self._settings.data_dir,
            "OTA_LEASE_SECONDS": str(LEASE),
            "OTA_WORKER_PROCESSES": "1",
        }
        if self._settings.redis_url:
            given["OTA_REDIS_URL"] = self._settings.redis_url
        return {**kept, **given, GATE: str(self.gate), "TMPDIR": str(self._settings.data_path / "tmp")}

    def start(self, *parts: str) -> None:
        """Start ``worker`` or ``beat``."""
        for part in parts:
            arguments = ["--loglevel", "INFO"] if part == "worker" else ["--pidfile", ""]
            command = [
                sys.executable,
                "-m",
                "celery",
                "--quiet",
                "-A",
                "tests.machine.broker",
                part,
                *arguments,
            ]
            with (self._folder / f"{part}.log").open("ab") as log:
                self._processes.append(
                    subprocess.Popen(
                        command, cwd=ROOT, env=self._environ(), stdout=log, stderr=log, start_new_session=True
                    )
                )

    def has_begun(self) -> bool:
        """Return whether the worker has begun to read a package."""
        return any(self._folder.glob("begun-*"))

    def kill_everything(self) -> None:
        """Send SIGKILL to the whole process groups, which cannot clean up."""
        for process in self._processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait(10)
        self._processes.clear()
        for mark in self._folder.glob("begun-*"):
            mark.unlink()

    def kill_child(self) -> None:
        """Send SIGKILL to the pool process that does the work, and to no other."""
        for mark in self._folder.glob("begun-*"):
            os.kill(int(mark.name.removeprefix("begun-")), signal.SIGKILL)
            mark.unlink()

    def log(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self._folder.glob("*.log")))


@pytest.fixture(params=["filesystem", "redis"])
def queue_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of the same server on each broker, with a short lease."""
    redis_url = request.getfixturevalue("redis_server").url if request.param == "redis" else ""
    return settings_for(tmp_path / "data", redis_url=redis_url, lease_seconds=LEASE)


@pytest.fixture
def queue_app(queue_settings: Settings) -> Iterator[Flask]:
    app = create_app(queue_settings)
    make_cast(app, queue_settings)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def queue_api(queue_app: Flask) -> Api:
    return Api(queue_app)


@pytest.fixture
def worker(queue_settings: Settings, queue_app: Flask, tmp_path: Path) -> Iterator[Worker]:
    processes = Worker(queue_settings, tmp_path)
    yield processes
    processes.kill_everything()
    print(processes.log())
