"""Uploads and downloads that are large, slow, cut off or too much."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from tests.builders.packages import apk, archive, manifest
from tests.builders.signing import sign_v2, signer
from tests.conftest import missing
from tests.e2e.program import Program


def test_an_upload_in_flight_is_finished_before_the_stop(program: Program) -> None:
    body = apk(content=b"x" * 100_000)
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.apk"\r\n\r\n'
    whole = head + body + b"\r\n--x--\r\n"
    lines = (
        f"POST /api/uploads HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {program.token()}\r\n"
        f"Content-Length: {len(whole)}\r\n"
    )
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
        question = {"platform": "android", "current_version": "0.1.0+0"}
        assert shared.post("/api/updates/check", question, authorized=False)[0] == 200
    for caller in callers:
        caller.close()


def curl_upload(program: Program, path: Path, *options: str) -> str:
    """Send a file with curl, as the documentation shows, and return what curl prints."""
    if shutil.which("curl") is None:
        missing("curl")
    access = f"Authorization: Bearer {program.token()}"
    command = ["curl", "-sS", *options, "-H", access, "-F", f"file=@{path}", f"{program.url}/api/uploads"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def test_a_500_megabyte_upload_does_not_grow_the_server(program: Program, tmp_path: Path) -> None:
    big = tmp_path / "big.apk"
    with zipfile.ZipFile(big, "w", zipfile.ZIP_STORED) as file:
        file.writestr("AndroidManifest.xml", manifest("com.example.big", "1.0.0", 1))
        with file.open("assets/data.bin", "w") as entry:
            for _ in range(500):
                entry.write(bytes(1_000_000))
    big.write_bytes(sign_v2(big.read_bytes(), signer("Example")))

    def memory() -> int:
        """Peak resident memory of the web processes, in bytes."""
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
