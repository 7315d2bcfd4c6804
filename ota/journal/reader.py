"""Reading the journal of all processes of this machine, while they write it, and wiping what was counted."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ota.journal.format import HEAD, SUFFIX, payload_at

_AT_ONCE = 1024**2


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of the journal. Its ``name`` never comes again. Somebody else may delete it at any moment: then nothing is in it."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    def is_finished(self) -> bool:
        """Will nobody append to it any more? What is read after that is all there is."""
        try:
            with self.path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except FileNotFoundError:
            pass
        return True

    def has_more(self, position: int) -> bool:
        """Does anything stand at this position? One short read: asked twice a second of segments in which nothing happens."""
        try:
            with self.path.open("rb", buffering=0) as file:
                return os.pread(file.fileno(), HEAD.size, position).rstrip(b"\0") != b""
        except FileNotFoundError:
            return False

    def records(self, position: int) -> Iterator[tuple[bytes, int]]:
        """Payloads from a position on (0, or one that was answered before), each with the position after it."""
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
        """Where the first record stands at or behind this position: a database that was restored from a backup knows an older position
        than the one up to which everything is wiped. The position itself where there is none."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return position
        first = len(content) - len(content[position:].lstrip(b"\0"))
        # The length of a record may itself begin with zeros.
        starts = range(max(position, first - HEAD.size + 1), first + 1)
        return next((start for start in starts if payload_at(content, start) is not None), position)

    def wipe(self, since: int, to: int) -> None:
        """Leave zeros where counted records were: they hold what devices said of themselves, and a quiet segment lives for weeks. Its
        writer may append behind them meanwhile."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            while since < to:
                since += os.pwrite(descriptor, bytes(min(_AT_ONCE, to - since)), since)
        finally:
            os.close(descriptor)

    def delete(self) -> None:
        """Deleting twice is no error."""
        self.path.unlink(missing_ok=True)


def segments(folder: Path) -> Sequence[Segment]:
    """Those that are there, the oldest first."""
    return [Segment(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
