"""The whole way on the running program, and how it starts, stops and mends itself."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from ota.config import ROOT
from tests.builders.packages import apk, archive, manifest
from tests.builders.signing import sign_v2, signer
from tests.conftest import PASSWORD, missing
from tests.e2e.conftest import Program, is_running
from tests.servers import free_port


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


def test_a_second_start_finds_everything_as_it_was(program: Program) -> None:
    token = program.token()
    upload_id = program.upload(apk())
    program.until(lambda: program.uploaded(upload_id)["status"] == "ready")
    assert program.stop() == 0
    program.log_path.rename(program.folder / "first.log")
    program.start()
    assert "API token" not in program.log()
    status, found = program.get("/api/versions", Authorization=f"Bearer {token}")
    assert (status, [version["version_code"] for version in found["versions"]]) == (200, [1])


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


def test_an_upload_in_flight_is_finished_before_the_stop(program: Program) -> None:
    body = apk(content=b"x" * 100_000)
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.apk"\r\n\r\n'
    whole = head + body + b"\r\n--x--\r\n"
    lines = f"POST /api/uploads HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {program.token()}\r\nContent-Length: {len(whole)}\r\n"
    with socket.create_connection(("127.0.0.1", program.port), 10) as caller:
        caller.sendall(
            lines.encode() + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + whole[:5_000]
        )
        time.sleep(0.5)
        assert program.process is not None
        program.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        caller.sendall(whole[5_000:])
        assert b" 202 " in caller.recv(4_096)
    assert program.process.wait(40) == 0
    program.start()
    with sqlite3.connect(program.folder / "data" / "ota.db") as connection:
        program.until(lambda: connection.execute("SELECT status FROM uploads").fetchall() == [("ready",)])


@pytest.mark.parametrize("how", ["closed", "reset", "chunked"])
def test_a_connection_cut_in_the_middle_of_an_upload_leaves_nothing_behind(shared: Program, how: str) -> None:
    incoming = shared.folder / "data" / "uploads" / "incoming"
    length = "Transfer-Encoding: chunked" if how == "chunked" else "Content-Length: 1000000"
    head = f"POST /api/uploads HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {shared.token()}\r\n{length}\r\n"
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.apk"\r\n\r\n' + b"y" * 200_000
    body = b"%x\r\n%s\r\n" % (len(part), part) if how == "chunked" else part
    with socket.create_connection(("127.0.0.1", shared.port), 10) as caller:
        caller.sendall(head.encode() + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + body)
        shared.until(lambda: any(incoming.iterdir()))
        if how == "reset":
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    shared.until(lambda: not any(incoming.iterdir()))


def test_what_was_cut_off_by_a_crash_is_removed_at_the_next_start(program: Program) -> None:
    program.stop()
    part = program.folder / "data" / "uploads" / "incoming" / ("0" * 32 + ".part")
    part.write_bytes(b"half")
    program.start()
    assert not part.exists()


def test_twelve_slow_downloads_hold_nobody_up(shared: Program) -> None:
    build = apk("com.example.field", "5.0.0", 50, content=random.Random(2).randbytes(8_000_000))
    upload_id = shared.upload(build)
    shared.until(lambda: shared.uploaded(upload_id)["status"] == "ready")
    version = shared.uploaded(upload_id)["version"]
    shared.post(f"/api/versions/{version['id']}/activate")
    path = version["download_url"].removeprefix(shared.url)
    callers = []
    for _ in range(12):
        caller = socket.create_connection(("127.0.0.1", shared.port), 10)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        caller.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        caller.recv(1_000)
        callers.append(caller)
    for _ in range(20):
        assert (
            shared.post(
                "/api/updates/check", {"platform": "android", "current_version": "0.1.0+0"}, authorized=False
            )[0]
            == 200
        )
    for caller in callers:
        caller.close()


def curl_upload(program: Program, path: Path, *options: str) -> str:
    """Send a file as the README's example does, from a process of its own; answers what curl prints."""
    if shutil.which("curl") is None:
        missing("curl")
    command = [
        "curl",
        "-sS",
        *options,
        "-H",
        f"Authorization: Bearer {program.token()}",
        "-F",
        f"file=@{path}",
    ]
    return subprocess.run(
        [*command, f"{program.url}/api/uploads"], check=False, capture_output=True, text=True
    ).stdout


def test_a_500_megabyte_upload_does_not_grow_the_server(program: Program, tmp_path: Path) -> None:
    big = tmp_path / "big.apk"
    with zipfile.ZipFile(big, "w", zipfile.ZIP_STORED) as file:
        file.writestr("AndroidManifest.xml", manifest("com.example.big", "1.0.0", 1))
        with file.open("assets/data.bin", "w") as entry:
            for _ in range(500):
                entry.write(bytes(1_000_000))
    big.write_bytes(sign_v2(big.read_bytes(), signer("Example")))

    def memory() -> int:
        """Highest resident memory of the web processes so far, in bytes."""
        peaks = []
        for pid in program.pids_of("granian"):
            status = (Path("/proc") / str(pid) / "status").read_text()
            peaks.append(int(status.split("VmHWM:")[1].split()[0]) * 1024)
        return max(peaks)

    program.upload(apk("com.example.big", "0.1.0", 0))
    before = memory()
    answer = curl_upload(program, big)
    grown = memory() - before
    upload_id = answer.split('"id":"')[1].split('"')[0]
    program.until(lambda: program.uploaded(upload_id)["status"] == "ready", 90)
    assert grown < 64 * 1024**2, grown
    assert program.uploaded(upload_id)["file_size"] == big.stat().st_size


@pytest.mark.parametrize("program", [{"OTA_MAX_UPLOAD_BYTES": "1000000"}], indirect=True)
def test_a_file_that_is_too_large_is_refused_with_413(program: Program, tmp_path: Path) -> None:
    big = tmp_path / "big.apk"
    big.write_bytes(bytes(30_000_000))
    answer = curl_upload(program, big, "-w", "%{http_code}")
    assert answer.endswith("413")
    assert "file_too_large" in answer
    assert list((program.folder / "data" / "uploads" / "incoming").iterdir()) == []


def test_a_simple_client_that_sends_too_much_json_still_reads_the_answer(shared: Program) -> None:
    status, raw, _ = shared.request(
        "POST", "/api/updates/check", b"[" * 10_000_000, Content_Type="application/json"
    )
    assert (status, b"body_too_large" in raw) == (413, True)


def start_and_wait(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start the program where it has to refuse."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTA_")}
    environ = {**kept, "OTA_DATA_DIR": str(folder), "OTA_PORT": str(free_port()), **settings}
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(("name", "value"), [("OTA_PORT", "abc"), ("OTA_HOST", "999.1.1.1")])
def test_a_wrong_setting_stops_the_start_and_is_named(tmp_path: Path, name: str, value: str) -> None:
    ended = start_and_wait(tmp_path, **{name: value})
    assert ended.returncode == 2
    assert name in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_database_that_does_not_answer_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    ended = start_and_wait(tmp_path, OTA_DATABASE_URL=f"postgresql://u:p@127.0.0.1:{free_port()}/x")
    assert (ended.returncode, "Not started." in ended.stderr, "Traceback" in ended.stderr) == (2, True, False)


def test_the_same_data_folder_or_port_is_not_served_twice(shared: Program, tmp_path: Path) -> None:
    same_folder = start_and_wait(shared.folder / "data")
    assert (same_folder.returncode, "already serves the data folder" in same_folder.stderr) == (2, True)
    same_port = start_and_wait(tmp_path / "other", OTA_PORT=str(shared.port))
    assert (same_port.returncode, "can't listen" in same_port.stderr) == (2, True)


@pytest.mark.parametrize("program", [{"OTA_HOST": "localhost"}], indirect=True)
def test_the_host_may_be_a_name(program: Program) -> None:
    with socket.create_connection(("localhost", program.port), 5):
        assert program.get("/api/system/health")[0] == 200


def test_the_fixture_builds_apks_that_androids_own_tool_verifies(tmp_path: Path) -> None:
    if shutil.which("apksigner") is None:
        missing("apksigner")
    for name, data in (
        ("a", apk()),
        ("b", sign_v2(archive({"AndroidManifest.xml": manifest(), "big": bytes(3_000_000)}, 0), signer("B"))),
    ):
        path = tmp_path / f"{name}.apk"
        path.write_bytes(data)
        answer = subprocess.run(
            ["apksigner", "verify", "-v", "--print-certs", path], capture_output=True, text=True, check=False
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert "Verified using v2 scheme (APK Signature Scheme v2): true" in answer.stdout


def test_flask_run_works_for_development(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTA_")}
    environ = {**kept, "OTA_DATA_DIR": str(tmp_path), "OTA_ADMIN_PASSWORD": PASSWORD}
    port = free_port()
    flask = [sys.executable, "-m", "flask", "--app", "app"]
    subprocess.run([*flask, "prepare"], cwd=ROOT, env=environ, check=True, capture_output=True)
    made = subprocess.run(
        [*flask, "create-token", "admin@localhost", "ci"],
        cwd=ROOT,
        env=environ,
        check=True,
        capture_output=True,
        text=True,
    )
    assert made.stdout.startswith("ota_")
    server = subprocess.Popen(
        [*flask, "run", "--port", str(port)],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        caller = Program(tmp_path)
        caller.url = f"http://127.0.0.1:{port}"
        caller.log_path.write_text("")
        caller.until(lambda: caller.get("/api/system/health")[0] == 200)
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["create-user", "new@example.com", "--role", "publisher"], "may log in with the password"),
        (["reset-password", "admin@localhost"], "may log in with the password"),
        (["reset-password", "nobody@example.com"], "Nobody has the address"),
        (["create-user", "no-address"], "Expected an e-mail address"),
    ],
)
def test_the_operators_commands(tmp_path: Path, arguments: list[str], words: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTA_")}
    environ = {**kept, "OTA_DATA_DIR": str(tmp_path), "OTA_ADMIN_PASSWORD": PASSWORD}
    flask = [sys.executable, "-m", "flask", "--app", "app"]
    subprocess.run([*flask, "prepare"], cwd=ROOT, env=environ, check=True, capture_output=True)
    ended = subprocess.run(
        [*flask, *arguments], cwd=ROOT, env=environ, check=False, capture_output=True, text=True
    )
    assert words in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
