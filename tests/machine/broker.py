"""A real Celery worker process on a real broker. Reading a package waits at a gate that the test opens."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ota.builds import worker
from ota.packages import PackageFacts
from ota.packages import read_package as really_read

GATE = "OTA_TEST_GATE"


def wait_then_read(path: Path) -> PackageFacts:
    """Mark the work as begun, then read the package once the gate is gone."""
    gate = Path(os.environ[GATE])
    (gate.parent / f"begun-{os.getpid()}").touch()
    while gate.exists():
        time.sleep(0.02)
    return really_read(path)


worker.read_package = wait_then_read

from celery_worker import celery  # noqa: E402  The application, with the gate in place.

__all__ = ["celery"]
