"""One foreground program for one machine: web server, worker and scheduler, started, watched and stopped together."""

from __future__ import annotations

import ctypes
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from ota.config import ROOT, Settings

log = logging.getLogger("ota.machine.supervisor")

FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 30.0
STEADY_AFTER = 60.0
"""A child that has run so many seconds is steady: its next death starts the back-off anew."""

STARTUP_GRACE = 10.0
STOP_TIMEOUT = 25.0
SENDER_SILENT_AFTER = 60.0
_PR_SET_PDEATHSIG = 1


class NotStartable(RuntimeError):
    """The program can't serve: its data folder or its address is taken or can't be used."""


@dataclass
class Child:
    """A process that shall always run."""

    name: str
    command: Sequence[str]
    backoff: float = FIRST_BACKOFF
    started_at: float = 0.0
    restart_at: float = 0.0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    sign_of_life: Path | None = None
    """A file that the child touches while it works; None for a child whose life is its process."""

    silent_after: float = 0.0


def free_address(settings: Settings) -> str:
    """The numeric address to listen on. Raises `NotStartable` when the host is unknown or the port is taken.

    The web server shares its port between processes, so it would not notice a stranger on the same port.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise NotStartable(
            f"OTA_HOST and OTA_PORT: can't listen on {settings.host} port {settings.port}: {error.strerror or error}."
        ) from error
    return str(address[0])


def commands(settings: Settings, address: str) -> list[Child]:
    """The children, in the order in which they start."""
    python = sys.executable
    celery = [python, "-m", "celery", "--quiet", "-A", "celery_worker"]
    web = [
        python,
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--factory",
        "app:serve",
        "--host",
        address,
        "--port",
        str(settings.port),
        "--workers",
        str(settings.web_workers),
        "--blocking-threads",
        str(settings.web_threads),
        "--blocking-threads-idle-timeout",
        "60",
        "--backlog",
        "2048",
        "--http",
        "1",
        "--respawn-failed-workers",
        "--workers-kill-timeout",
        "10",
        "--log-level",
        "error",
        "--no-ws",
    ]
    worker = [
        *celery,
        "worker",
        "--loglevel",
        "INFO",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]
    beat = [*celery, "beat", "--loglevel", "WARNING", "--pidfile", ""]
    watched = Child(
        "worker", worker, sign_of_life=settings.worker_sign_path, silent_after=6 * settings.resend_interval
    )
    sender = Child(
        "deliver",
        [python, "-m", "ota.programs.send_alerts"],
        sign_of_life=settings.sender_sign_path,
        silent_after=SENDER_SILENT_AFTER,
    )
    return [
        Child("web", web),
        watched,
        Child("beat", beat),
        Child("drain", [python, "-m", "ota.programs.count_reports"]),
        sender,
    ]


def lock_data_folder(folder: Path) -> int:
    """Hold the data folder for this program. Raises `NotStartable`; the lock goes with the process."""
    descriptor = os.open(folder / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise NotStartable(f"Another program already serves the data folder {folder}.") from None
    return descriptor


class Supervisor:
    """Runs children until it is told to stop; restarts those that die, waiting longer each time."""

    def __init__(
        self, children: Sequence[Child], environ: dict[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._children = children
        self._environ = environ
        self._clock = clock
        self._is_stopping = False

    def run(self) -> None:
        """Returns after SIGTERM or SIGINT, when every child has gone."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        try:
            while not self._is_stopping:
                self.look_after_children()
                time.sleep(0.2)
        finally:
            self.stop_children()

    def look_after_children(self) -> None:
        """Start what is due and note what has died."""
        now = self._clock()
        for child in self._children:
            if child.process is None:
                if now >= child.restart_at:
                    self._start(child, now)
            elif child.process.poll() is not None:
                self._note_death(child, now)
            elif self._is_silent(child, now):
                log.warning(
                    "%s has shown no sign of life for %g s and is killed", child.name, child.silent_after
                )
                _signal_group(child, signal.SIGKILL, leader_only=False)

    def stop_children(self) -> None:
        """Ask every child to finish what it does; kill what is left of their process groups in the end."""
        running = [child for child in self._children if child.process is not None]
        for child in running:
            _signal_group(child, signal.SIGTERM, leader_only=True)
        deadline = self._clock() + STOP_TIMEOUT
        for child in running:
            assert child.process is not None
            try:
                child.process.wait(max(0.1, deadline - self._clock()))
            except subprocess.TimeoutExpired:
                log.warning("%s did not stop in %d s and is killed", child.name, STOP_TIMEOUT)
            _signal_group(child, signal.SIGKILL, leader_only=False)
            child.process.wait()
            child.process = None

    def _start(self, child: Child, now: float) -> None:
        child.process = subprocess.Popen(
            child.command, cwd=ROOT, env=self._environ, start_new_session=True, preexec_fn=_die_with_parent
        )
        child.started_at = now
        log.info("started %s (pid %d)", child.name, child.process.pid)

    def _note_death(self, child: Child, now: float) -> None:
        assert child.process is not None
        status = child.process.returncode
        # Its own children (pool processes, web workers) must not linger beside the next one.
        _signal_group(child, signal.SIGKILL, leader_only=False)
        if now - child.started_at > STEADY_AFTER:
            child.backoff = FIRST_BACKOFF
        log.warning("%s ended with status %d; it is started again in %g s", child.name, status, child.backoff)
        child.process, child.restart_at = None, now + child.backoff
        child.backoff = min(child.backoff * 2, LONGEST_BACKOFF)

    def _is_silent(self, child: Child, now: float) -> bool:
        # A pool whose idle process was killed can wait forever for a lock that died with it: the process lives, the
        # work stands still. Only its silence tells.
        if child.sign_of_life is None or now - child.started_at < child.silent_after + STARTUP_GRACE:
            return False
        try:
            return time.time() - child.sign_of_life.stat().st_mtime > child.silent_after
        except FileNotFoundError:
            return True

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True


def _signal_group(child: Child, number: signal.Signals, *, leader_only: bool) -> None:
    assert child.process is not None
    try:
        (os.kill if leader_only else os.killpg)(child.process.pid, number)
    except ProcessLookupError:
        pass


def _die_with_parent() -> None:
    # Linux: when the supervisor itself is killed, its children are told to stop.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
