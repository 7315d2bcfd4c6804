"""Reading a package in a child process. Its time-outs, memory use and crashes do not harm the worker.

The child gets a path and nothing else: no settings, no secrets, no database. It can't write files. Its answer
is data.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from ota.errors import Rejected
from ota.packages.facts import PackageFacts

log = logging.getLogger(__name__)

MEMORY_BYTES = 400 * 1024**2
"""Limit on the child's address space, libraries included."""

_SECONDS, _BYTES_PER_SECOND = 8, 20_000_000
_MAX_OUTPUT = 8 * 1024**2
_TRIES = 3
_COMMAND = ("-m", "ota.packages")
_ROOT = Path(__file__).resolve().parents[2]

Rejection = tuple[str, str]
"""The code and the message of a `Rejected`."""

_TOO_SLOW: Rejection = (
    "too_slow",
    "Reading this file takes far longer than any build of its size needs. Build it again with the ordinary "
    "tools.",
)
TOO_MUCH_MEMORY: Rejection = (
    "too_much_memory",
    "Reading this file takes far more memory than any build needs. Build it again with the ordinary tools.",
)
READER_FAILED: Rejection = (
    "reader_failed",
    "This file can't be read, in a way that was not foreseen; the server's log says more. Build the file "
    "again.",
)


class ReaderAnswer(Struct, omit_defaults=True):
    """The child's answer: facts, a rejection (code, message), or a failure of the disk (errno, text)."""

    facts: PackageFacts | None = None
    rejected: Rejection | None = None
    failed: tuple[int, str] | None = None


def read_package(path: Path) -> PackageFacts:
    """Read a package in a child process, within `MEMORY_BYTES` and 8 s plus a second for every 20 MB.

    Raises `Rejected`, also for a file that exceeds these limits or crashes its reader three times, and
    `OSError` if the disk failed rather than the file.
    """
    seconds = _SECONDS + path.stat().st_size // _BYTES_PER_SECOND
    deadline = time.monotonic() + seconds
    for _ in range(_TRIES):
        answer = _run_child(path, seconds, deadline)
        if answer is None:
            continue
        if answer.facts is not None:
            return answer.facts
        if answer.failed is not None:
            raise OSError(*answer.failed)
        raise Rejected(*(answer.rejected or READER_FAILED))
    raise Rejected(
        "reader_died",
        f"Reading this file ended {_TRIES} times without an answer, so it was given up. Build the file "
        "again.",
    )


def _run_child(path: Path, seconds: int, deadline: float) -> ReaderAnswer | None:
    """Return the child's answer, or None if it died without one."""
    environment = {
        name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV") if name in os.environ
    }
    with subprocess.Popen(  # noqa: S603  This package's __main__.
        [sys.executable, *_COMMAND, str(path), str(seconds)],
        cwd=_ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        try:
            output, errors = _collected(child, deadline)
        finally:
            child.kill()  # Harmless if the child has ended.
    if errors:
        log.warning("while reading %s: %s", path.name, errors.decode(errors="replace")[-4000:])
    if output is None or child.returncode == -signal.SIGXCPU:
        return ReaderAnswer(rejected=_TOO_SLOW)
    try:
        return msgspec.json.decode(output, type=ReaderAnswer)
    except msgspec.DecodeError:
        log.warning("the reader of %s ended with status %s and no answer", path.name, child.returncode)
        return None


def _collected(child: subprocess.Popen[bytes], deadline: float) -> tuple[bytes | None, bytes]:
    """Return the child's standard output and error once it has ended. The output is None after the deadline.

    A child that writes more than `_MAX_OUTPUT` bytes counts as one without output.
    """
    assert child.stdout is not None
    assert child.stderr is not None
    output, errors = child.stdout.fileno(), child.stderr.fileno()
    collected = {output: b"", errors: b""}
    with selectors.DefaultSelector() as selector:
        for pipe in collected:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                return None, collected[errors]
            for key, _ in ready:
                piece = os.read(key.fd, 65_536)
                collected[key.fd] += piece
                if not piece:
                    selector.unregister(key.fd)
            if sum(map(len, collected.values())) > _MAX_OUTPUT:
                return b"", collected[errors]
    try:
        child.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None, collected[errors]
    return collected[output], collected[errors]
