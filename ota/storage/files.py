"""Helpers for crash-safe writes: after a crash at any moment, either the old or the new state is on disk."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ota.errors import StorageFull

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

FULL = "The server has no room left for this file. Free some space, then send it again."


def fsync_folder(folder: Path) -> None:
    """Make names that were added to or removed from the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_full(error: OSError) -> bool:
    """Return whether the error means that no space is left."""
    return error.errno in _FULL


@contextmanager
def raising_storage_full() -> Iterator[None]:
    """Turn "no space left" into `StorageFull`. Every other ``OSError`` passes through."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise StorageFull("storage_full", FULL) from error
        raise


def temporary_name(folder: Path) -> Path:
    """Return an unused, random name in this folder."""
    return folder / f".{secrets.token_hex(8)}.tmp"
