"""Writing files so that a crash at any moment leaves either the old state or the new one."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ota.errors import StorageFull

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def fsync_folder(folder: Path) -> None:
    """Make names that were added to or removed from the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


FULL = "The server has no room left for this file. Free some space, then send it again."


def is_full(error: OSError) -> bool:
    """Does this failure mean that there is no room left?"""
    return error.errno in _FULL


@contextmanager
def room_or_full() -> Iterator[None]:
    """Turns "no space left" into `StorageFull`; every other ``OSError`` passes."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise StorageFull("storage_full", FULL) from error
        raise


def temporary_name(folder: Path) -> Path:
    """A name in this folder that nobody else uses."""
    return folder / f".{secrets.token_hex(8)}.tmp"
