"""Records that can't be counted, kept for debugging, within limits on their age and number.

Each is a file in the format of a segment. Rename it from ``.record`` to ``.journal`` to have it counted
again.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from ota.journal.format import record

log = logging.getLogger(__name__)

MAX_FILES = 200
KEPT_DAYS = 30
_NAMES = "poison-*.record"


def set_aside(folder: Path, segment: str, position: int, payload: bytes) -> Path | None:
    """Write the record to a file of its own and return its path. Repeating it is harmless.

    Returns None if the record is lost, because there are `MAX_FILES` already or no room.
    """
    path = folder / f"poison-{segment}-{position}.record"
    if sum(1 for _ in folder.glob(_NAMES)) >= MAX_FILES and not path.exists():
        return None
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(record(payload))
    except OSError as error:
        log.error("%s: cannot set aside a record that cannot be counted: %s", path, error)
        return None
    return path


def forget_old(folder: Path) -> None:
    """Delete records set aside more than `KEPT_DAYS` days ago, since they hold device ids."""
    for path in folder.glob(_NAMES):
        try:
            if path.stat().st_mtime < time.time() - KEPT_DAYS * 86_400:
                path.unlink()
        except FileNotFoundError:
            continue
