"""The real program as an operator starts it: `python app.py` with its own data folder."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ota.config import ROOT
from tests.conftest import PASSWORD
from tests.servers import free_port


class Program:
    """Web server, worker and scheduler of one data folder, started and stopped together."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = folder / "program.log"
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True) -> None:
        given = {"OTA_PORT": str(self.port), "OTA_ADMIN_PASSWORD": PASSWORD, **self.settings}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py"],
                cwd=ROOT,
                env=environment(self.folder / "data", **given),
                stdout=log,
                stderr=log,
            )
        if wait:
            self.until(lambda: self.get("/api/system/health")[1].get("status") == "ok")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(40)

    def until(self, condition: Any, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except (OSError, http.client.HTTPException):
                pass  # Not listening yet, or just gone.
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def log(self) -> str:
        return self.log_path.read_text()

    def token(self) -> str:
        found = re.search(r"API token (\S+)", self.log())
        assert found, self.log()
        return found[1]

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, Any]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, data=body, headers=sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        status, raw, _ = self.request("GET", path, **headers)
        return status, json.loads(raw)

    def post(self, path: str, body: Any = None, *, authorized: bool = True) -> tuple[int, Any]:
        headers = {"Content_Type": "application/json"}
        if authorized:
            headers["Authorization"] = f"Bearer {self.token()}"
        status, raw, _ = self.request("POST", path, json.dumps(body or {}).encode(), **headers)
        return status, json.loads(raw)

    def upload(self, content: bytes, name: str = "app.apk") -> str:
        """Send a file and return the id of its upload."""
        boundary = "----a-boundary-that-no-build-contains"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        )
        body = head + content + f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        status, raw, _ = self.request(
            "POST", "/api/uploads", body, Content_Type=kind, Authorization=f"Bearer {self.token()}"
        )
        assert status == 202, raw
        found: str = json.loads(raw)["upload"]["id"]
        return found

    def uploaded(self, upload_id: str) -> dict[str, Any]:
        _, answer = self.get(f"/api/uploads/{upload_id}", Authorization=f"Bearer {self.token()}")
        found: dict[str, Any] = answer["upload"]
        return found

    def descendants(self) -> set[int]:
        """The pids of all processes below this program, as the kernel lists them."""
        assert self.process is not None
        parents = parents_of_processes()
        found: set[int] = set()
        frontier = {self.process.pid}
        while frontier:
            frontier = {pid for pid, parent in parents.items() if parent in frontier} - found
            found |= frontier
        return found

    def pids_of(self, words: str) -> list[int]:
        """The pids of descendants whose command line contains these words, oldest first."""
        found = []
        for pid in sorted(self.descendants()):
            try:
                command = (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if words in command:
                found.append(pid)
        return found


def is_running(pid: int) -> bool:
    """Whether a process with this pid exists and is not a zombie."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def parents_of_processes() -> dict[int, int]:
    """The parent's pid of every process of this machine."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return parents


def environment(data: Path, **settings: str) -> dict[str, str]:
    """The environment of a program with this data folder and no settings but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTA_")}
    return {**kept, "OTA_DATA_DIR": str(data), **settings}
