"""PostgreSQL and Redis for a test run: on loopback, in a temporary folder, stopped by their process."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

REQUIRED = os.environ.get("OTA_REQUIRE_SERVICES") == "1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_postgres() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs, or None."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


class PostgresServer:
    """A PostgreSQL that tests stop and start. It refuses to run as root, so root runs it as another user."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="ota-pg-"))
        self._as_user: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"postgresql://ota@127.0.0.1:{self.port}"
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self._folder, account.pw_uid, account.pw_gid)
            self._as_user = [
                "setpriv",
                "--reuid",
                str(account.pw_uid),
                "--regid",
                str(account.pw_gid),
                "--clear-groups",
            ]
        self._call("initdb", "-D", "data", "-U", "ota", "-A", "trust", "-E", "UTF8", "--no-sync").wait(60)

    def start(self) -> None:
        options = ["-c", "fsync=off", "-c", "max_connections=300", "-c", "listen_addresses=127.0.0.1"]
        self._process = self._call(
            "postgres", "-D", "data", *options, "-k", str(self._folder), "-p", str(self.port)
        )
        _wait(lambda: psycopg.connect(f"{self.url}/postgres").close(), "PostgreSQL")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # Fast shutdown, which does not wait for clients.
            self._process.wait(20)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _call(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [*self._as_user, str(self._programs / program), *arguments]
        return subprocess.Popen(
            command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


class RedisServer:
    """A Redis that tests stop and start."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = tempfile.mkdtemp(prefix="ota-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            "redis-server",
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            self._folder,
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def connect() -> None:
            socket.create_connection(("127.0.0.1", self.port), 1).close()

        _wait(connect, "Redis")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _wait(probe: Callable[[], object], name: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            probe()
            return
        except (OSError, psycopg.OperationalError):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start in {seconds} s") from None
            time.sleep(0.05)
