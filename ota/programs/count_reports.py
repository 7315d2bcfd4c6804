"""Count what devices report: ``python -m ota.programs.count_reports``. One process per machine."""

from __future__ import annotations

import fcntl
import os
import signal
import threading

from app import create_app
from ota.config import Settings
from ota.parts import part
from ota.telemetry.drain import Drainer


def main() -> int:
    """Count until SIGTERM or SIGINT. Return the exit status."""
    app = create_app()
    settings = part(Settings, app)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    lock = os.open(settings.journal_path / "drain.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # Waits until another process of this machine ends.
    Drainer(app).run(stop)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
