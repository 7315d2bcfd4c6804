"""How the program starts, where it refuses to, and the commands of operators."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ota.config import ROOT
from tests.builders.packages import apk
from tests.conftest import PASSWORD
from tests.e2e.program import Program, environment
from tests.servers import free_port


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


def test_what_was_cut_off_by_a_crash_is_removed_at_the_next_start(program: Program) -> None:
    program.stop()
    part = program.folder / "data" / "uploads" / "incoming" / ("0" * 32 + ".part")
    part.write_bytes(b"half")
    program.start()
    assert not part.exists()


def start_and_wait(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Start a program that is expected to refuse."""
    return subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment(folder, **{"OTA_PORT": str(free_port()), **settings}),
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


def test_flask_run_works_for_development(tmp_path: Path) -> None:
    environ = environment(tmp_path, OTA_ADMIN_PASSWORD=PASSWORD)
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
    environ = environment(tmp_path, OTA_ADMIN_PASSWORD=PASSWORD)
    flask = [sys.executable, "-m", "flask", "--app", "app"]
    subprocess.run([*flask, "prepare"], cwd=ROOT, env=environ, check=True, capture_output=True)
    ended = subprocess.run(
        [*flask, *arguments], cwd=ROOT, env=environ, check=False, capture_output=True, text=True
    )
    assert words in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
