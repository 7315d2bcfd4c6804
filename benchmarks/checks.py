"""How many update checks one web process answers a second, beside the least that it could do: ``python -m benchmarks.checks``.

Needs wrk. Both servers run on loopback with the same options and are loaded in turns, several times, in the same run. Then the slowest
hundredth of the answers is compared at rest and while another process publishes, opens and rolls back ten times a second. Where the
load and the server fill all cores, that process takes its time from one of them; on idle processor time it shows what the server alone
makes of the publishes.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path

from benchmarks.fill import fill
from benchmarks.load import Measured, cpu_seconds, free_port, serving, wrk
from ota.config import ROOT, Settings

ROUNDS = 4
SECONDS = 4
CONNECTIONS = 32
PER_SECOND = 10


Server = tuple[int, subprocess.Popen[bytes]]


def throughput(folder: Path, bare: Server, real: Server) -> float:
    """Print both rates of each round, with the processor time that a check took; answers the median of the rounds' ratios."""
    ratios = []
    for _ in range(ROUNDS):
        rates, costs = [], []
        for port, process in (bare, real):
            before = cpu_seconds(process)
            rates.append(wrk(folder, port, seconds=SECONDS, connections=CONNECTIONS).rate)
            costs.append((cpu_seconds(process) - before) / (rates[-1] * SECONDS) * 1e6)
        ratios.append(rates[1] / rates[0])
        print(
            f"  bare {rates[0]:6.0f} ({costs[0]:3.0f} us of CPU)   this server {rates[1]:6.0f} ({costs[1]:3.0f} us)   {ratios[-1]:.2f}"
        )
    return statistics.median(ratios)


def changes(folder: Path) -> int:
    """How often what is offered was changed so far."""
    with closing(sqlite3.connect(folder / "ota.db")) as database:
        return int(database.execute("SELECT sum(catalog_revision) FROM apps").fetchone()[0])


@contextmanager
def publishing(environ: dict[str, str], *, is_idle: bool) -> Iterator[None]:
    """Another process that changes what is offered all the time; with ``is_idle`` on processor time that nobody else wants."""
    command = [sys.executable, "-m", "benchmarks.fill", str(PER_SECOND), *(["idle"] if is_idle else [])]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environ})
    try:
        yield
        assert process.poll() is None, "publishing has ended by itself"
    finally:
        process.terminate()
        process.wait(20)


def latency(folder: Path, port: int, environ: dict[str, str], *, pause: int, is_idle: bool) -> float:
    """Print the latencies of each round; answers the ratio of the medians of both p99."""

    def measured(seconds: int = SECONDS) -> Measured:
        return wrk(folder, port, seconds=seconds, connections=CONNECTIONS, pause=pause)

    rest, busy = [], []
    for _ in range(ROUNDS):
        rest.append(measured())
        with publishing(environ, is_idle=is_idle):
            measured(2)  # It needs a moment to start.
            before, began = changes(folder), time.monotonic()
            busy.append(measured())
            rate = (changes(folder) - before) / (time.monotonic() - began)
        print(f"  at rest {_shown(rest[-1])}   publishing {_shown(busy[-1])}   {rate:.1f} publishes/s")
    return statistics.median(each.p99 for each in busy) / statistics.median(each.p99 for each in rest)


def _shown(each: Measured) -> str:
    return f"{each.rate:6.0f}/s p50 {each.median:5.2f} ms p99 {each.p99:6.2f} ms"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen = {
            "data_dir": name,
            "secret_key": "k" * 64,
            "base_url": "https://updates.example.com",
            "admin_password": "correct horse battery",
            "check_limit": "1000000000 per minute",  # All of them come from one address, and all shall be counted.
        }
        bare, real = (Settings(**chosen, port=free_port()) for _ in range(2))
        environ = {f"OTA_{key.upper()}": value for key, value in chosen.items()}
        fill(real)
        with (
            serving(bare, environ, "benchmarks.bare:make") as first,
            serving(real, environ, "app:serve") as second,
        ):
            print(f"Checks a second, {CONNECTIONS} connections, {os.cpu_count()} cores")
            print(
                f"  ratio {throughput(folder, (bare.port, first), (real.port, second)):.2f} (goal: 0.5 or more)"
            )
            for pause, is_idle in product((0, 5), (True, False)):
                print(
                    f"Latency at rest and during {PER_SECOND} publishes a second, {pause} ms between the checks of a connection,"
                )
                print(
                    f"the publisher {'on idle processor time' if is_idle else 'competing for the processors'}"
                )
                print(
                    f"  ratio of p99 {latency(folder, real.port, environ, pause=pause, is_idle=is_idle):.2f} (goal: 2 or less)"
                )


if __name__ == "__main__":
    main()
