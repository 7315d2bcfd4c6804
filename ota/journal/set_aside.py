"""Records that can't be counted: kept for whoever mends the program, but not for long and not without bound.

Each one is a file in the form of a segment. With the ending ``.journal`` in place of ``.record`` it is counted again.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from ota.journal.format import record

log = logging.getLogger(__name__)

MOST = 200
KEPT_DAYS = 30
_NAMES = "poison-*.record"


def set_aside(folder: Path, segment: str, position: int, payload: bytes) -> Path | None:
    """Keep a record that can't be counted; doing it twice is no error. None when it is lost: there are too many, or there is no room."""
    path = folder / f"poison-{segment}-{position}.record"
    if sum(1 for _ in folder.glob(_NAMES)) >= MOST and not path.exists():
        return None
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(record(payload))
    except OSError as error:
        log.error("%s: a record that can't be counted can't be kept either: %s", path, error)
        return None
    return path


def forget_old(folder: Path) -> None:
    """Delete what was set aside long ago: it holds ids of devices."""
    for path in folder.glob(_NAMES):
        try:
            if path.stat().st_mtime < time.time() - KEPT_DAYS * 86_400:
                path.unlink()
        except FileNotFoundError:
            continue
