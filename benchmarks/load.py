"""Servers on loopback, and wrk to load them."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ota.config import ROOT, Settings
from ota.machine import supervisor

LUA = """
local made = {}
local turn = 0
for number = 1, %(devices)d do
  local body = '{"platform":"android","current_version":"1.' .. number %% 3 .. '.0+' .. (number %% 3 + 1) ..
    '","device_id":"5f1c9a52-device-' .. number .. '","user_initiated":false,"sdk":34,"abis":["arm64-v8a"]}'
  made[number] = 'POST /api/updates/check HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n' ..
    'Content-Type: application/json\\r\\nContent-Length: ' .. #body .. '\\r\\n\\r\\n' .. body
end
request = function()
  turn = turn %% #made + 1
  return made[turn]
end
"""
THINKING = "delay = function() return %(pause)d end\n"
"""Milliseconds that each connection waits between two checks."""


@dataclass(frozen=True)
class Measured:
    """Result of wrk: answers per second, and latencies in milliseconds."""

    rate: float
    median: float
    p99: float


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(settings: Settings, environ: dict[str, str], target: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run one web process with the options of the program itself, and with the application ``target``."""
    command = [
        target if part == "app:serve" else part
        for part in supervisor.children(settings, "127.0.0.1")[0].command
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environ, "OTA_PORT": str(settings.port)}
    )
    try:
        _await(settings.port, process)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the server did not start"
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            body = '{"platform":"android","current_version":"1.0.0+1"}'
            connection.request("POST", "/api/updates/check", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            return
        except ConnectionError:
            time.sleep(0.1)
    raise AssertionError("the server did not answer")


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Return the processor time that the server's web processes have used."""
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    fields = [Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split() for worker in workers]
    return sum(int(values[11]) + int(values[12]) for values in fields) / os.sysconf("SC_CLK_TCK")


def wrk(
    folder: Path, port: int, *, seconds: int, connections: int, devices: int = 2_000, pause: int = 0
) -> Measured:
    """Load the server with checks of ``devices`` devices. Raises if an answer is not 200."""
    script = folder / "checks.lua"
    script.write_text((LUA + (THINKING if pause else "")) % {"devices": devices, "pause": pause})
    url = f"http://127.0.0.1:{port}/api/updates/check"
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--latency",
        "--timeout",
        "10s",
        "-s",
        str(script),
        url,
    ]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    assert "Non-2xx" not in output, output
    assert "Socket errors" not in output, output
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert rate, output
    return Measured(float(rate[1]), _milliseconds(output, "50%"), _milliseconds(output, "99%"))


def _milliseconds(output: str, row: str) -> float:
    found = re.search(rf"{row}\s+([\d.]+)(us|ms|s)\b", output)
    assert found, output
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1_000}[found[2]]
