"""The quarantine: files as they arrive, under names of our own, until a worker has read them."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from ota.storage.files import fsync_folder, room_or_full

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_PART = ".part"


class Incoming:
    """A folder of files that wait to be processed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, upload_id: str) -> Path:
        """The file of this upload. Raises ``ValueError`` for an id that we did not make."""
        if not _ID.fullmatch(upload_id):
            raise ValueError("not an upload id")
        return self._folder / upload_id

    def begin(self) -> IncomingFile:
        """Start receiving a file under a fresh id."""
        with room_or_full():
            return IncomingFile(self._folder, secrets.token_hex(16))

    def remove(self, upload_id: str) -> None:
        """Forget the bytes. Fine when they are gone already."""
        self.path(upload_id).unlink(missing_ok=True)

    def discard_parts(self) -> None:
        """Remove what was cut off while it was received. Only for a moment when nobody receives."""
        for path in self._folder.glob("*" + _PART):
            path.unlink(missing_ok=True)

    def sweep(self, keep: Iterable[str], older_than_seconds: float) -> int:
        """Delete files that no upload waits for and that nobody has written to for so long. Answers how many."""
        wanted = set(keep)
        limit = time.time() - older_than_seconds
        removed = 0
        for path in self._folder.iterdir():
            if path.name in wanted or path.name.startswith(".git"):
                continue
            try:
                if path.stat().st_mtime < limit:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue
        return removed


class IncomingFile:
    """A file being received. Either `keep` makes it safe under its id, or `discard` leaves nothing behind."""

    def __init__(self, folder: Path, upload_id: str) -> None:
        self.upload_id = upload_id
        self._folder = folder
        self._part = folder / (upload_id + _PART)
        self._kept = False
        self.stream: BinaryIO = self._part.open("xb+", buffering=1024 * 1024)

    def keep(self) -> int:
        """Make the bytes survive a power cut under the upload's id. Answers their count."""
        with room_or_full():
            self.stream.flush()
            os.fsync(self.stream.fileno())
            size = os.fstat(self.stream.fileno()).st_size
            self.stream.close()
            self._part.rename(self._folder / self.upload_id)
            self._kept = True
            fsync_folder(self._folder)
        return size

    def discard(self) -> None:
        """Remove what was received, unless it was kept. May be called any number of times."""
        if self._kept:
            return
        try:
            self.stream.close()
        except OSError:
            pass  # The last buffered bytes found no room; they are being thrown away.
        self._part.unlink(missing_ok=True)
