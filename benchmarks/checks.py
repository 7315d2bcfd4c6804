"""Update checks per second of one web process: ``python -m benchmarks.checks``. Needs wrk.

They are compared with a bare callable. Both servers run on loopback with the same options and are loaded in
turn, several times in one run. Then the 99th percentile of the latency is compared at rest and while another
process publishes, widens and rolls back ten times a second. If load and server use all cores, that process
takes time from one of them. On idle processor time it shows the cost of the publishes in the server alone.
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
    """Print both rates of each round, with the processor time per check. Return the median of the ratios."""
    ratios = []
    for _ in range(ROUNDS):
        rates, costs = [], []
        for port, process in (bare, real):
            before = cpu_seconds(process)
            rates.append(wrk(folder, port, seconds=SECONDS, connections=CONNECTIONS).rate)
            costs.append((cpu_seconds(process) - before) / (rates[-1] * SECONDS) * 1e6)
        ratios.append(rates[1] / rates[0])
        bare_rate, real_rate = (
            f"{rate:6.0f} ({cost:3.0f} us of CPU)" for rate, cost in zip(rates, costs, strict=True)
        )
        print(f"  bare {bare_rate}   this server {real_rate}   {ratios[-1]:.2f}")
    return statistics.median(ratios)


def changes(folder: Path) -> int:
    """Return how many times the offers have changed."""
    with closing(sqlite3.connect(folder / "ota.db")) as database:
        return int(database.execute("SELECT sum(catalog_revision) FROM apps").fetchone()[0])


@contextmanager
def publishing(environ: dict[str, str], *, is_idle: bool) -> Iterator[None]:
    """Run a process that publishes all the time. With ``is_idle`` it gets only idle processor time."""
    command = [sys.executable, "-m", "benchmarks.fill", str(PER_SECOND), *(["idle"] if is_idle else [])]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environ})
    try:
        yield
        assert process.poll() is None, "the publishing process has ended"
    finally:
        process.terminate()
        process.wait(20)


def latency(folder: Path, port: int, environ: dict[str, str], *, pause: int, is_idle: bool) -> float:
    """Print the latencies of each round. Return the ratio of the medians of both 99th percentiles."""

    def measured(seconds: int = SECONDS) -> Measured:
        return wrk(folder, port, seconds=seconds, connections=CONNECTIONS, pause=pause)

    rest, busy = [], []
    for _ in range(ROUNDS):
        rest.append(measured())
        with publishing(environ, is_idle=is_idle):
            measured(2)  # The publisher needs a moment to start.
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
            "check_limit": "1000000000 per minute",  # All come from one address, and all are to be counted.
        }
        bare, real = (Settings(**chosen, port=free_port()) for _ in range(2))
        environ = {f"OTA_{key.upper()}": value for key, value in chosen.items()}
        fill(real)
        with (
            serving(bare, environ, "benchmarks.bare:make") as first,
            serving(real, environ, "app:serve") as second,
        ):
            print(f"Checks a second, {CONNECTIONS} connections, {os.cpu_count()} cores")
            ratio = throughput(folder, (bare.port, first), (real.port, second))
            print(f"  ratio {ratio:.2f} (goal: 0.5 or more)")
            for pause, is_idle in product((0, 5), (True, False)):
                print(f"Latency at rest and during {PER_SECOND} publishes a second,")
                print(f"{pause} ms between the checks of a connection,")
                where = "on idle processor time" if is_idle else "competing for the processors"
                print(f"the publisher {where}")
                ratio = latency(folder, real.port, environ, pause=pause, is_idle=is_idle)
                print(f"  ratio of p99 {ratio:.2f} (goal: 2 or less)")


if __name__ == "__main__":
    main()
