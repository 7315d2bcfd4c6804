"""The store in a local folder: ``artifacts/aa/bb/<sha256>``."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import BinaryIO

from ota.storage.files import fsync_folder, room_or_full, temporary_name

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BLOCK = 1024 * 1024


class LocalStore:
    """An `ArtifactStore` below one folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, sha256: str) -> Path:
        """Where these bytes are or would be. Raises ``ValueError`` for anything but a lower-case SHA-256."""
        if not _DIGEST.fullmatch(sha256):
            raise ValueError("not a SHA-256")
        return self._root / sha256[:2] / sha256[2:4] / sha256

    def put(self, source: Path, sha256: str) -> None:
        target = self.path(sha256)
        with room_or_full():
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                temporary = temporary_name(target.parent)
                try:
                    _link_or_copy(source, temporary)
                    temporary.rename(target)
                finally:
                    temporary.unlink(missing_ok=True)
            for folder in (target.parent, target.parent.parent, self._root):
                fsync_folder(folder)

    def open(self, sha256: str) -> BinaryIO:
        return self.path(sha256).open("rb")

    def has(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

    def check(self) -> None:
        probe = temporary_name(self._root)
        try:
            probe.write_bytes(b"ok")
        finally:
            probe.unlink(missing_ok=True)


def _link_or_copy(source: Path, target: Path) -> None:
    # A second name for the same bytes costs nothing and can't be half-written; the copy is for another file system.
    # The source was synced when it was received.
    try:
        os.link(source, target)
    except OSError:
        with source.open("rb") as reader, target.open("wb") as writer:
            shutil.copyfileobj(reader, writer, _BLOCK)
            writer.flush()
            os.fsync(writer.fileno())
