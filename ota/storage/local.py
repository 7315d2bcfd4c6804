"""Artifacts in a local folder: ``artifacts/aa/bb/<sha256>``."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import BinaryIO

from ota.storage.files import fsync_folder, raising_storage_full, temporary_name

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BLOCK = 1024 * 1024


class LocalStore:
    """An `ArtifactStore` in one folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, sha256: str) -> Path:
        """Return the path of an artifact, stored or not.

        Raises ``ValueError`` unless given a lower-case SHA-256.
        """
        if not _DIGEST.fullmatch(sha256):
            raise ValueError("not a SHA-256")
        return self._root / sha256[:2] / sha256[2:4] / sha256

    def put(self, source: Path, sha256: str) -> None:
        target = self.path(sha256)
        with raising_storage_full():
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                _place(source, target)
            for folder in (target.parent, target.parent.parent, self._root):
                fsync_folder(folder)

    def open(self, sha256: str) -> BinaryIO:
        return self.path(sha256).open("rb")

    def check(self) -> None:
        probe = temporary_name(self._root)
        try:
            probe.write_bytes(b"ok")
        finally:
            probe.unlink(missing_ok=True)


def _place(source: Path, target: Path) -> None:
    temporary = temporary_name(target.parent)
    try:
        _link_or_copy(source, temporary)
        temporary.rename(target)
    finally:
        temporary.unlink(missing_ok=True)


def _link_or_copy(source: Path, target: Path) -> None:
    # A hard link costs nothing and can't be half-written. Only another file system needs a copy.
    # The source was synced when it was received.
    try:
        os.link(source, target)
    except OSError:
        with source.open("rb") as reader, target.open("wb") as writer:
            shutil.copyfileobj(reader, writer, _BLOCK)
            writer.flush()
            os.fsync(writer.fileno())
