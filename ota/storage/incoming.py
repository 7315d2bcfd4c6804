"""The quarantine: received files, under generated names, until a worker has processed them."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from ota.storage.files import fsync_folder, raising_storage_full

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_PART = ".part"


class Incoming:
    """A folder of files waiting to be processed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, upload_id: str) -> Path:
        """Return the path of this upload's file.

        Raises ``ValueError`` for an id not in the generated form.
        """
        if not _ID.fullmatch(upload_id):
            raise ValueError("not an upload id")
        return self._folder / upload_id

    def begin(self) -> IncomingFile:
        """Start receiving a file under a new id. Raises `ota.errors.StorageFull`."""
        with raising_storage_full():
            return IncomingFile(self._folder, secrets.token_hex(16))

    def remove(self, upload_id: str) -> None:
        """Delete the upload's file. Deleting it twice is harmless."""
        self.path(upload_id).unlink(missing_ok=True)

    def discard_parts(self) -> None:
        """Delete partially received files. Call it only while no upload is being received."""
        for path in self._folder.glob("*" + _PART):
            path.unlink(missing_ok=True)

    def sweep(self, keep: Iterable[str], older_than_seconds: float) -> int:
        """Delete files outside ``keep`` that were last written longer ago than this.

        Returns how many were deleted.
        """
        wanted = set(keep)
        limit = time.time() - older_than_seconds
        unwanted = [
            path
            for path in self._folder.iterdir()
            if path.name not in wanted and not path.name.startswith(".git")
        ]
        return sum(_deleted_if_older(path, limit) for path in unwanted)


def _deleted_if_older(path: Path, limit: float) -> bool:
    try:
        if path.stat().st_mtime >= limit:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True


class IncomingFile:
    """A file being received. End with `keep`, which makes it durable, or `discard`, which deletes it."""

    def __init__(self, folder: Path, upload_id: str) -> None:
        self.upload_id = upload_id
        self._folder = folder
        self._part = folder / (upload_id + _PART)
        self._kept = False
        self.stream: BinaryIO = self._part.open("xb+", buffering=1024 * 1024)

    def keep(self) -> int:
        """Make the file durable under the upload's id. Returns its size in bytes.

        Raises `ota.errors.StorageFull`.
        """
        with raising_storage_full():
            self.stream.flush()
            os.fsync(self.stream.fileno())
            size = os.fstat(self.stream.fileno()).st_size
            self.stream.close()
            self._part.rename(self._folder / self.upload_id)
            self._kept = True
            fsync_folder(self._folder)
        return size

    def discard(self) -> None:
        """Delete the file unless it was kept. Calling it again is harmless."""
        if self._kept:
            return
        try:
            self.stream.close()
        except OSError:
            pass  # No room for the last buffered bytes, which are discarded anyway.
        self._part.unlink(missing_ok=True)
