"""Reading a package in a process of its own, which may run out of time or memory, or die, without taking the worker along.

The child gets a path and nothing else: no settings, no secrets, no database. It can't write files. What it answers is data.
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
"""Address space of the child, libraries included."""

_SECONDS, _BYTES_PER_SECOND = 8, 20_000_000
_MAX_SAID = 8 * 1024**2
_TRIES = 3
_COMMAND = ("-m", "ota.packages")
_ROOT = Path(__file__).resolve().parents[2]


class Answer(Struct, omit_defaults=True):
    """What the child says: facts, a rejection (code, message), or that the disk failed (errno, words)."""

    facts: PackageFacts | None = None
    rejected: tuple[str, str] | None = None
    failed: tuple[int, str] | None = None


def read_package(path: Path) -> PackageFacts:
    """What `ota.packages.read_here` answers, within limits: `MEMORY_BYTES`, and 8 s plus a second for every 20 MB.

    Raises `Rejected`, also for a file that takes longer or more memory, or kills its reader three times; `OSError` when the
    disk failed and not the file.
    """
    seconds = _SECONDS + path.stat().st_size // _BYTES_PER_SECOND
    deadline = time.monotonic() + seconds
    for _ in range(_TRIES):
        answer = _ask(path, seconds, deadline)
        if answer is None:
            continue
        if answer.facts is not None:
            return answer.facts
        if answer.failed is not None:
            raise OSError(*answer.failed)
        raise Rejected(*(answer.rejected or unknown()))
    raise Rejected(
        "reader_died",
        f"Reading this file ended {_TRIES} times without an answer, so it was given up. Build the file again.",
    )


def _ask(path: Path, seconds: int, deadline: float) -> Answer | None:
    """None when the child died."""
    command = [sys.executable, *_COMMAND, str(path), str(seconds)]
    environment = {
        name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV") if name in os.environ
    }
    with subprocess.Popen(  # noqa: S603  This package's __main__.
        command,
        cwd=_ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        try:
            output, complaints = _heard(child, deadline)
        finally:
            child.kill()  # One that is at its end already doesn't mind.
    if complaints:
        log.warning("while %s was read: %s", path.name, complaints.decode(errors="replace")[-4000:])
    if output is None or child.returncode == -signal.SIGXCPU:
        return Answer(rejected=too_slow())
    try:
        return msgspec.json.decode(output, type=Answer)
    except msgspec.DecodeError:
        log.warning("the reader of %s ended with %s and no answer", path.name, child.returncode)
        return None


def _heard(child: subprocess.Popen[bytes], deadline: float) -> tuple[bytes | None, bytes]:
    """What the child says on both pipes until it ends, up to a cap. The answer is None when the time is over."""
    assert child.stdout is not None
    assert child.stderr is not None
    answer, complaints = child.stdout.fileno(), child.stderr.fileno()
    said = {answer: b"", complaints: b""}
    with selectors.DefaultSelector() as selector:
        for pipe in said:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                return None, said[complaints]
            for key, _ in ready:
                piece = os.read(key.fd, 65_536)
                said[key.fd] += piece
                if not piece:
                    selector.unregister(key.fd)
            if len(said[answer]) + len(said[complaints]) > _MAX_SAID:
                return b"", said[complaints]
    try:
        child.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None, said[complaints]
    return said[answer], said[complaints]


def too_slow() -> tuple[str, str]:
    return (
        "too_slow",
        "Reading this file takes far longer than any build of its size needs. Build it again with the ordinary tools.",
    )


def too_much_memory() -> tuple[str, str]:
    return (
        "too_much_memory",
        "Reading this file takes far more memory than any build needs. Build it again with the ordinary tools.",
    )


def unknown() -> tuple[str, str]:
    return (
        "reader_failed",
        "This file can't be read, in a way that was not foreseen; the server's log says more. Build the file again.",
    )
