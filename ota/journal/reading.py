"""Reading the journal of all processes of this machine, while they write it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ota.journal.form import HEAD, SUFFIX, payload_at


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of the journal. Its ``name`` never comes again."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    def is_finished(self) -> bool:
        """Will nobody append to it any more? What is read after that is all there is."""
        with self.path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    def batches(self, position: int, size: int) -> Iterator[tuple[Sequence[bytes], int]]:
        """Payloads from a position on (0, or one that was answered before), so many at once, each time with the position after them."""
        content = self.path.read_bytes()
        batch: list[bytes] = []
        while (payload := payload_at(content, position)) is not None:
            batch.append(payload)
            position += HEAD.size + len(payload)
            if len(batch) == size:
                yield batch, position
                batch = []
        if batch:
            yield batch, position

    def delete(self) -> None:
        """Deleting twice is no error."""
        self.path.unlink(missing_ok=True)


def segments(folder: Path) -> Sequence[Segment]:
    """Those that are there, the oldest first."""
    return [Segment(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]
