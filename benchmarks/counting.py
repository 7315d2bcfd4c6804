"""Cost of counting per update check: ``python -m benchmarks.counting``. Needs wrk.

Two servers on loopback are loaded in turn. One writes every check to its journal. The other counts hardly
any, since all checks come from one address and its OTA_CHECK_LIMIT is 1. The journals are not drained
meanwhile: another process does that, which ``benchmarks.drain`` measures.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks.fill import fill
from benchmarks.load import Measured, cpu_seconds, free_port, serving, wrk
from ota.config import Settings

ROUNDS = 6
SECONDS = 4
CONNECTIONS = 32
LIMITS = {"counting": "1000000000 per minute", "not counting": "1 per day"}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        servers = {}
        for kind, limit in LIMITS.items():
            folder = Path(name) / kind.replace(" ", "-")
            folder.mkdir()
            chosen = {
                "data_dir": str(folder),
                "secret_key": "k" * 64,
                "base_url": "https://updates.example.com",
                "check_limit": limit,
                "admin_password": "correct horse battery",
                "journal_bytes": str(2 * 1024**3),
            }
            settings = Settings(**{**chosen, "journal_bytes": 2 * 1024**3, "port": free_port()})  # type: ignore[arg-type]
            fill(settings)
            servers[kind] = settings, {f"OTA_{key.upper()}": value for key, value in chosen.items()}
        measure(Path(name), servers)


def measure(folder: Path, servers: dict[str, tuple[Settings, dict[str, str]]]) -> None:
    """Print each round, then the medians of the ratios."""
    (one, one_environ), (other, other_environ) = servers["counting"], servers["not counting"]
    rates, costs, latencies = [], [], []
    with (
        serving(one, one_environ, "app:serve") as first,
        serving(other, other_environ, "app:serve") as second,
    ):
        for _ in range(ROUNDS):
            found: list[tuple[Measured, float]] = []
            for port, process in ((one.port, first), (other.port, second)):
                before = cpu_seconds(process)
                seen = wrk(folder, port, seconds=SECONDS, connections=CONNECTIONS)
                found.append((seen, (cpu_seconds(process) - before) / (seen.rate * SECONDS) * 1e6))
            (with_it, cost), (without, least) = found
            rates.append(with_it.rate / without.rate)
            latencies.append(with_it.p99 / without.p99)
            costs.append(cost - least)
            print(
                f"  counting {with_it.rate:6.0f}/s p99 {with_it.p99:5.2f} ms {cost:5.1f} us of CPU"
                f"   not counting {without.rate:6.0f}/s p99 {without.p99:5.2f} ms {least:5.1f} us"
            )
    print(
        f"  rate {statistics.median(rates):.2f} times, p99 {statistics.median(latencies):.2f} times,"
        f" {statistics.median(costs):+.1f} us of CPU a check"
    )


if __name__ == "__main__":
    main()
