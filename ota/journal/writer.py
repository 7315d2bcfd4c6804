"""Appending to one process's journal."""

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
    """No room for another segment, on the disk or within the journal's size limit."""


class Journal:
    """One process's segments in a folder. Safe to use from any thread.

    A segment is a file of a fixed size, mapped into memory, so an append needs no system call. The kernel
    keeps appended records: they survive ``kill -9``, but not a power cut. The current segment is locked. A
    segment without a lock is finished, however its process ended.
    """

    def __init__(self, folder: Path, *, max_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._max_segments = max_bytes // segment_bytes
        self._bytes = segment_bytes
        self._lock = threading.Lock()
        self._number = 0
        self._process = 0
        self._map: mmap.mmap | None = None
        self._position = 0
        self._full_until = 0.0

    def append(self, payload: bytes) -> None:
        """Append one record.

        Raises `JournalFull` without room, `ValueError` if the payload is empty or too large.
        """
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
        """Finish the segment, so that readers can finish it too."""
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
            if sum(1 for _ in self._folder.glob(f"*{SUFFIX}")) >= self._max_segments:
                raise JournalFull(
                    errno.EDQUOT, "the journal has reached its size limit and is not being counted"
                )
            self._map = self._create_segment()
        except OSError:
            self._full_until = now + 1.0  # Try again after a second, not for every check.
            raise
        self._process = os.getpid()

    def _create_segment(self) -> mmap.mmap:
        """Return a new segment, mapped and locked, with its disk space reserved so that no write can fail."""
        self._number += 1
        # Names sort by creation time, and two processes never choose the same one.
        path = self._folder / f"{time.time_ns():020d}-{os.getpid()}-{self._number}{SUFFIX}"
        hidden = path.with_suffix(".new")
        descriptor = None
        try:
            descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            _reserve(descriptor, self._bytes)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The mapping keeps a duplicate of the descriptor, and with it the lock.
            mapped = mmap.mmap(descriptor, self._bytes)
            hidden.rename(path)
            return mapped
        except OSError as error:
            if descriptor is not None:
                hidden.unlink(missing_ok=True)
            raise JournalFull(error.errno, f"no room for the journal: {error.strerror}") from error
        finally:
            if descriptor is not None:
                os.close(descriptor)


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:  # macOS
        os.write(descriptor, bytes(size))


assert MAX_PAYLOAD < SEGMENT_BYTES
