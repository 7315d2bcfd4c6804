"""The running program counts every answer, even when parts of it are killed."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.e2e.program import Program

BUILD = {
    "version": "1.1.0",
    "version_code": 2,
    "platform": "android",
    "checksum": "ab" * 32,
    "download_url": "https://files.example.com/a.apk",
}


def counted(program: Program, query: str) -> Any:
    with closing(sqlite3.connect(program.folder / "data" / "ota.db", timeout=30)) as connection:
        return connection.execute(query).fetchone()[0]


def test_no_check_that_was_answered_is_lost_when_web_and_counter_are_killed(program: Program) -> None:
    program.post("/api/updates/publish", BUILD)
    counter = program.pids_of("ota.programs.count_reports")[0]
    os.kill(counter, signal.SIGSTOP)  # Nothing is counted before the web process dies.
    for number in range(100):
        body = {"platform": "android", "current_version": "1.0.0+1", "device_id": f"phone {number}"}
        assert program.post("/api/updates/check", body, authorized=False)[1]["version_code"] == 2
    web = program.pids_of("granian")[0]
    for worker in Path(f"/proc/{web}/task/{web}/children").read_text().split():
        os.kill(int(worker), signal.SIGKILL)
    os.kill(counter, signal.SIGKILL)
    program.until(lambda: counted(program, "SELECT count(*) FROM update_checks") == 100)
    assert counted(program, "SELECT count(DISTINCT device_id) FROM update_checks") == 100
    assert counted(program, "SELECT sum(checks) FROM check_counts") == 100
    assert counted(program, "SELECT sum(devices) FROM release_counts WHERE stage = 'offered'") == 100
    program.until(lambda: not list((program.folder / "data" / "journal").glob("*.journal")))
    program.until(lambda: program.get("/api/system/health")[1].get("status") == "ok")
    later = {"platform": "android", "current_version": "1.1.0+2", "device_id": "phone 1"}
    program.post("/api/updates/check", later, authorized=False)
    program.until(lambda: counted(program, "SELECT count(*) FROM update_completions") == 1)
