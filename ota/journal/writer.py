"""Appending to the journal of one process."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import threading
import time
from pathlib import Path

from ota.journal.format import MAX_PAYLOAD, SUFFIX, record

SEGMENT_BYTES = 8 * 1024**2


class JournalFull(OSError):
    """There is no room for another segment: on the disk, or within what the journal may take."""


class Journal:
    """Segments of one process in a folder. Any thread may append.

    A segment is a file of a fixed size that is mapped into memory, so an append is no system call, and what was appended is the kernel's
    to keep: it is there after ``kill -9``, though not after the machine lost its power. The segment that is being written is
    locked; one without a lock is finished, in whatever way its process ended.
    """

    def __init__(self, folder: Path, *, most_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._segments = most_bytes // segment_bytes
        self._bytes = segment_bytes
        self._lock = threading.Lock()
        self._number = 0
        self._process = 0
        self._map: mmap.mmap | None = None
        self._position = 0
        self._full_until = 0.0

    def append(self, payload: bytes) -> None:
        """Keep it. Raises `JournalFull` when nothing more can be kept, and `ValueError` for a payload that is too large."""
        whole = record(payload)
        with self._lock:
            end = self._position + len(whole)
            if self._map is None or end > self._bytes or self._process != os.getpid():
                self._next_segment()
                end = len(whole)
            assert self._map is not None
            self._map[end - len(whole) : end] = whole
            self._position = end

    def close(self) -> None:
        """Finish the segment, so that whoever reads it can be done with it."""
        with self._lock:
            self._finish()

    def _finish(self) -> None:
        if self._map is not None:
            self._map.close()
        self._map, self._position = None, 0

    def _next_segment(self) -> None:
        self._finish()
        now = time.monotonic()
        if now < self._full_until:
            raise JournalFull(errno.ENOSPC, "the journal has no room")
        try:
            if sum(1 for _ in self._folder.glob(f"*{SUFFIX}")) >= self._segments:
                raise JournalFull(
                    errno.EDQUOT, "the journal is as large as it may be: nobody has counted what it holds"
                )
            self._map = self._made()
        except OSError:
            self._full_until = now + 1.0  # Not looked at again for each check.
            raise
        self._process = os.getpid()

    def _made(self) -> mmap.mmap:
        """A new segment, mapped, locked and with its room on the disk, so that no write into it can fail."""
        self._number += 1
        # By name in the order in which they were begun; two processes never choose the same.
        path = self._folder / f"{time.time_ns():020d}-{os.getpid()}-{self._number}{SUFFIX}"
        hidden = path.with_suffix(".new")
        descriptor = None
        try:
            descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            _reserve(descriptor, self._bytes)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            made = mmap.mmap(
                descriptor, self._bytes
            )  # Keeps a duplicate of the descriptor, and with it the lock.
            hidden.rename(path)
            return made
        except OSError as error:
            if descriptor is not None:
                hidden.unlink(missing_ok=True)
            raise JournalFull(error.errno, f"there is no room for the journal: {error.strerror}") from error
        finally:
            if descriptor is not None:
                os.close(descriptor)


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:  # macOS
        os.write(descriptor, bytes(size))


assert MAX_PAYLOAD < SEGMENT_BYTES
