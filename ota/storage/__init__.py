"""Where bytes live: the quarantine that uploads arrive in, and the store that names them by digest."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Protocol


class ArtifactStore(Protocol):
    """Immutable bytes by SHA-256."""

    def put(self, source: Path, sha256: str) -> None:
        """Store a file whose digest has been computed. Safe to run twice; whole or not at all. ``source`` stays.

        Raises `ota.errors.StorageFull` when there is no room, leaving nothing behind.
        """

    def open(self, sha256: str) -> BinaryIO:
        """The bytes, seekable. Raises ``FileNotFoundError`` when they are not there."""

    def has(self, sha256: str) -> bool:
        """Are these bytes stored?"""

    def check(self) -> None:
        """Raises ``OSError`` when nothing can be written here."""
