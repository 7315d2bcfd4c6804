"""Storage of files: the quarantine that receives uploads, and the store that keeps artifacts by digest."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol


class ArtifactStore(Protocol):
    """Immutable files, named by their SHA-256."""

    def put(self, source: Path, sha256: str) -> None:
        """Store a file whose digest is known, atomically. Storing it twice is harmless; ``source`` stays.

        Raises `ota.errors.StorageFull` when there is no room, and then leaves nothing behind.
        """

    def open(self, sha256: str) -> BinaryIO:
        """Open an artifact as a seekable stream. Raises ``FileNotFoundError`` if it is not stored."""

    def check(self) -> None:
        """Raise ``OSError`` if the store is not writable."""
