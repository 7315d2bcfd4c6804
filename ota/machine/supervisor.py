"""The supervisor: one foreground program that starts, watches and restarts the processes of one machine."""

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
"""Seconds after which a child counts as steady. When it dies later, its back-off starts at the first step."""

STARTUP_GRACE = 10.0
STOP_TIMEOUT = 25.0
SENDER_SILENT_AFTER = 60.0
_PR_SET_PDEATHSIG = 1
_CELERY = (sys.executable, "-m", "celery", "--quiet", "-A", "celery_worker")
_NO_CHATTER = ("--without-gossip", "--without-mingle", "--without-heartbeat")


class NotStartable(RuntimeError):
    """The program cannot serve: its data folder or its address is taken or unusable."""


@dataclass
class Child:
    """A process that is kept running."""

    name: str
    command: Sequence[str]
    backoff: float = FIRST_BACKOFF
    started_at: float = 0.0
    restart_at: float = 0.0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    sign_of_life: Path | None = None
    """File that the child touches while it works. None: the child is alive as long as its process is."""

    silent_after: float = 0.0
    """Seconds without a sign of life after which the child is killed."""


def free_address(settings: Settings) -> str:
    """Return the numeric address to listen on.

    Raises `NotStartable` if the host is unknown or the port is taken.

    The web server shares its port between processes, so it would not notice another program on the same port.
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
            f"OTA_HOST and OTA_PORT: can't listen on {settings.host} port {settings.port}: "
            f"{error.strerror or error}."
        ) from error
    return str(address[0])


def children(settings: Settings, address: str) -> list[Child]:
    """Return the children, in the order in which they start.

    ``address`` is the one that the web server listens on.
    """
    return [
        Child("web", _web_server(settings, address)),
        Child(
            "worker",
            [*_CELERY, "worker", "--loglevel", "INFO", *_NO_CHATTER],
            sign_of_life=settings.worker_sign_path,
            silent_after=6 * settings.resend_interval,
        ),
        Child("beat", [*_CELERY, "beat", "--loglevel", "WARNING", "--pidfile", ""]),
        Child("drain", [sys.executable, "-m", "ota.programs.count_reports"]),
        Child(
            "deliver",
            [sys.executable, "-m", "ota.programs.send_alerts"],
            sign_of_life=settings.sender_sign_path,
            silent_after=SENDER_SILENT_AFTER,
        ),
    ]


def _web_server(settings: Settings, address: str) -> list[str]:
    options = {
        "--interface": "wsgi",
        "--host": address,
        "--port": settings.port,
        "--workers": settings.web_workers,
        "--blocking-threads": settings.web_threads,
        "--blocking-threads-idle-timeout": 60,
        "--backlog": 2048,
        "--http": 1,
        "--workers-kill-timeout": 10,
        "--log-level": "error",
    }
    given = [str(part) for option in options.items() for part in option]
    return [
        sys.executable,
        "-m",
        "granian",
        "--factory",
        *given,
        "--respawn-failed-workers",
        "--no-ws",
        "app:serve",
    ]


def lock_data_folder(folder: Path) -> int:
    """Lock the data folder for this process and return the descriptor.

    Raises `NotStartable` if it is locked.
    """
    descriptor = os.open(folder / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise NotStartable(f"Another program already serves the data folder {folder}.") from None
    return descriptor


class Supervisor:
    """Runs children until it has to stop. Restarts those that die, after a longer wait each time."""

    def __init__(
        self, children: Sequence[Child], environ: dict[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._children = children
        self._environ = environ
        self._clock = clock
        self._is_stopping = False

    def run(self) -> None:
        """Run the children. Return after SIGTERM or SIGINT, when all of them have ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        try:
            while not self._is_stopping:
                self.look_after_children()
                time.sleep(0.2)
        finally:
            self.stop_children()

    def look_after_children(self) -> None:
        """Start the children that are due, note those that died, and kill those that are silent."""
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
        """Ask every child to finish its work. Kill the rest of their process groups at the deadline."""
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
        # Its own children (pool processes, web workers) must not run alongside the next one.
        _signal_group(child, signal.SIGKILL, leader_only=False)
        if now - child.started_at > STEADY_AFTER:
            child.backoff = FIRST_BACKOFF
        log.warning("%s ended with status %d; it is started again in %g s", child.name, status, child.backoff)
        child.process, child.restart_at = None, now + child.backoff
        child.backoff = min(child.backoff * 2, LONGEST_BACKOFF)

    def _is_silent(self, child: Child, now: float) -> bool:
        # A pool whose idle process was killed can wait forever for a lock that died with it: the process
        # lives but does no work. Only its silence shows that.
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
    # On Linux the children get SIGTERM if the supervisor itself is killed.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
