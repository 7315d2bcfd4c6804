"""The running program from upload to offer, and how it stops and restarts its parts."""

from __future__ import annotations

import hashlib
import os
import random
import signal

import pytest

from tests.builders.packages import apk
from tests.e2e.program import Program, is_running


def test_a_build_goes_in_and_a_device_gets_it_byte_for_byte(shared: Program) -> None:
    build = apk("com.example.field", "1.1.0", 2, content=random.Random(1).randbytes(3_000_000))
    upload_id = shared.upload(build)
    shared.until(lambda: shared.uploaded(upload_id)["status"] == "ready")
    version = shared.uploaded(upload_id)["version"]
    assert (version["version"], version["is_active"], version["checksum"]) == (
        "1.1.0",
        False,
        hashlib.sha256(build).hexdigest(),
    )

    question = {"platform": "android", "current_version": "1.0.0+1", "device_id": "abc123"}
    assert shared.post("/api/updates/check", question, authorized=False)[1]["reason"] == "no_release"
    assert shared.post(f"/api/versions/{version['id']}/releases", {"channel": "stable"})[0] == 201
    offer = shared.post("/api/updates/check", question, authorized=False)[1]
    assert (offer["update_available"], offer["latest_version"], offer["version_code"]) == (True, "1.1.0", 2)

    path = offer["download_url"].removeprefix(shared.url)
    status, first, headers = shared.request("GET", path, Range="bytes=0-999999")
    assert (status, len(first)) == (206, 1_000_000)
    status, rest, _ = shared.request("GET", path, Range="bytes=1000000-", If_Range=headers["ETag"])
    assert status == 206
    assert hashlib.sha256(first + rest).hexdigest() == offer["checksum"]
    status, whole, headers = shared.request("GET", path)
    assert (status, whole == build, headers["Content-Type"]) == (
        200,
        True,
        "application/vnd.android.package-archive",
    )

    assert shared.post(f"/api/updates/deactivate/{version['id']}")[0] == 200
    assert shared.post("/api/updates/check", question, authorized=False)[1]["reason"] == "no_release"
    assert shared.request("GET", path)[0] == 410


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_leaves_no_process_behind(program: Program, number: signal.Signals) -> None:
    pids = program.descendants()
    assert len(pids) >= 4
    assert program.stop(number) == 0
    assert [pid for pid in pids if is_running(pid)] == []


def test_a_killed_supervisor_takes_its_children_along(program: Program) -> None:
    pids = program.descendants()
    program.stop(signal.SIGKILL)
    program.until(lambda: not any(is_running(pid) for pid in pids))


@pytest.mark.parametrize(
    "part", ["granian", "celery_worker worker", "celery_worker beat", "ota.programs.count_reports"]
)
def test_a_child_that_dies_is_started_again_and_the_log_says_so(program: Program, part: str) -> None:
    victim = program.pids_of(part)[0]
    os.kill(victim, signal.SIGKILL)
    program.until(lambda: set(program.pids_of(part)) and victim not in program.pids_of(part))
    program.until(lambda: "is started again in 1 s" in program.log())
    program.until(lambda: program.get("/api/system/health")[1]["status"] == "ok")
    upload_id = program.upload(apk())
    program.until(lambda: program.uploaded(upload_id)["status"] == "ready")


@pytest.mark.parametrize("program", [{"OTA_LEASE_SECONDS": "3", "OTA_WORKER_PROCESSES": "1"}], indirect=True)
def test_a_pool_that_stands_still_is_noticed_and_replaced(program: Program) -> None:
    main = program.pids_of("celery_worker worker")[0]
    idle = [pid for pid in program.pids_of("celery_worker worker") if pid != main]
    for pid in idle:
        os.kill(pid, signal.SIGKILL)
    upload_id = program.upload(apk())
    program.until(lambda: program.uploaded(upload_id)["status"] == "ready", 90)
