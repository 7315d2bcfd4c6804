"""Each web process stays on its own core."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ota.config import ROOT, SettingsError, from_environment

PROGRAM = """
import os, sys, threading
from pathlib import Path
from ota.machine.affinity import stay_on_one_core
waiting = threading.Event()
threading.Thread(target=waiting.wait, daemon=True).start()
core = stay_on_one_core(Path(sys.argv[1]))
threads = [sorted(os.sched_getaffinity(int(thread))) for thread in os.listdir("/proc/self/task")]
print(core, *threads, sep="|", flush=True)
sys.stdin.read()
"""
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextmanager
def process(folder: Path) -> Iterator[list[str]]:
    """Run a process that binds itself to a core. Yield its core, then the cores of each of its threads."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout
        yield running.stdout.readline().strip().split("|")
        running.communicate("")


@pytest.mark.skipif(len(CORES) < 2, reason="there is only one core")
def test_each_process_takes_a_core_with_all_its_threads_and_gives_it_back(tmp_path: Path) -> None:
    with ExitStack() as running:
        reported = [running.enter_context(process(tmp_path)) for _ in range(len(CORES) + 1)]
    assert [each[0] for each in reported] == [*(str(core) for core in CORES), "None"]
    for core, *threads in reported[:-1]:
        assert len(threads) >= 2
        assert set(threads) == {f"[{core}]"}
    assert set(reported[-1][1:]) == {str(CORES)}
    with process(tmp_path) as again:
        assert again[0] == str(CORES[0])


def test_affinity_can_be_turned_off() -> None:
    assert from_environment({}).web_affinity is True
    assert from_environment({"OTA_WEB_AFFINITY": "false"}).web_affinity is False
    with pytest.raises(SettingsError, match="OTA_WEB_AFFINITY"):
        from_environment({"OTA_WEB_AFFINITY": "perhaps"})
