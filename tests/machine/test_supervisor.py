"""The supervisor, with real processes and a clock that the test moves."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from ota.config import from_environment
from ota.machine.supervisor import (
    LONGEST_BACKOFF,
    STARTUP_GRACE,
    Child,
    NotStartable,
    Supervisor,
    children,
    lock_data_folder,
)


class Clock:
    """Moves only when the test moves it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def look_until_dead(supervisor: Supervisor, child: Child) -> None:
    deadline = time.monotonic() + 10
    while child.process is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
        supervisor.look_after_children()


def test_a_child_that_keeps_dying_waits_longer_each_time() -> None:
    child, clock = Child("short", [sys.executable, "-c", ""]), Clock()
    supervisor = Supervisor([child], dict(os.environ), clock)
    waits = []
    for _ in range(7):
        supervisor.look_after_children()
        look_until_dead(supervisor, child)
        waits.append(child.restart_at - clock.now)
        supervisor.look_after_children()
        assert child.process is None
        clock.now = child.restart_at
    assert waits == [1, 2, 4, 8, 16, LONGEST_BACKOFF, LONGEST_BACKOFF]


def test_a_child_that_was_steady_starts_again_with_the_shortest_wait() -> None:
    child, clock = Child("short", [sys.executable, "-c", ""], backoff=16), Clock()
    supervisor = Supervisor([child], dict(os.environ), clock)
    supervisor.look_after_children()
    clock.now += 3_600
    look_until_dead(supervisor, child)
    assert child.restart_at - clock.now == 1


def test_a_silent_child_is_killed_and_one_that_shows_life_is_not(tmp_path: Path) -> None:
    sign, clock = tmp_path / "alive", Clock()
    child = Child("silent", ["sleep", "60"], sign_of_life=sign, silent_after=5)
    supervisor = Supervisor([child], dict(os.environ), clock)
    supervisor.look_after_children()
    clock.now += 5 + STARTUP_GRACE + 1
    sign.touch()
    supervisor.look_after_children()
    assert child.process is not None
    assert child.process.poll() is None
    os.utime(sign, (time.time() - 6, time.time() - 6))
    supervisor.look_after_children()
    look_until_dead(supervisor, child)


def test_stopping_takes_the_whole_group_along(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    child = Child("parent", ["sh", "-c", f"sleep 60 & echo $! > {note}; wait"])
    supervisor = Supervisor([child], dict(os.environ))
    supervisor.look_after_children()
    deadline = time.monotonic() + 10
    while not (note.exists() and note.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    supervisor.stop_children()
    assert child.process is None
    state = Path(f"/proc/{note.read_text().strip()}/stat")
    while state.exists() and ") Z " not in state.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_data_folder_has_one_master(tmp_path: Path) -> None:
    held = lock_data_folder(tmp_path)
    with pytest.raises(NotStartable, match="data folder"):
        lock_data_folder(tmp_path)
    os.close(held)
    os.close(lock_data_folder(tmp_path))


def test_the_children_are_web_worker_scheduler_counter_and_sender() -> None:
    started = children(from_environment({"OTA_WEB_THREADS": "9", "OTA_WEB_WORKERS": "3"}), "127.0.0.1")
    assert [child.name for child in started] == ["web", "worker", "beat", "drain", "deliver"]
    assert "granian" in started[0].command
    assert {"--blocking-threads", "9", "--workers", "3"} <= set(started[0].command)
