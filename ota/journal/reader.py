"""Reading the journals of all processes of this machine while they write, and wiping counted records."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ota.journal.format import HEAD, SUFFIX, payload_at

_WIPE_BLOCK = 1024**2


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of the journal. Its ``name`` is never reused.

    Another process can delete the file at any moment. A deleted segment reads as empty and finished.
    """

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    def is_finished(self) -> bool:
        """Return whether its writer is done. Records read after that are complete."""
        try:
            with self.path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except FileNotFoundError:
            pass
        return True

    def has_more(self, position: int) -> bool:
        """Return whether there is data at this position.

        One short read, since idle segments are polled too.
        """
        try:
            with self.path.open("rb", buffering=0) as file:
                return os.pread(file.fileno(), HEAD.size, position).rstrip(b"\0") != b""
        except FileNotFoundError:
            return False

    def records(self, position: int) -> Iterator[tuple[bytes, int]]:
        """Yield each payload with the position after it, from 0 or from a position yielded before."""
        try:
            with (
                self.path.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            ):
                while (payload := payload_at(content, position)) is not None:
                    position += HEAD.size + len(payload)
                    yield payload, position
        except FileNotFoundError:
            return

    def after_wiped(self, position: int) -> int:
        """Return the position of the first record at or after this one, or ``position`` if there is none.

        Needed after a restore: the backup's position is older than the point up to which records are wiped.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return position
        first = len(content) - len(content[position:].lstrip(b"\0"))
        # The head of a record can itself begin with zero bytes.
        starts = range(max(position, first - HEAD.size + 1), first + 1)
        return next((start for start in starts if payload_at(content, start) is not None), position)

    def wipe(self, since: int, to: int) -> None:
        """Overwrite counted records with zeros, since they hold device data and a quiet segment lives for
        weeks.

        The writer can append behind them meanwhile.
        """
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            while since < to:
                since += os.pwrite(descriptor, bytes(min(_WIPE_BLOCK, to - since)), since)
        finally:
            os.close(descriptor)

    def delete(self) -> None:
        """Delete the file. Deleting it twice is harmless."""
        self.path.unlink(missing_ok=True)


def segments(folder: Path) -> Sequence[Segment]:
    """Return the segments in this folder, oldest first."""
    return [Segment(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
