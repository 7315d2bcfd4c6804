"""Keeping a web process on one processor core.

Threads of one Python process run Python in turns, and handing the turn to a thread on another core costs more than a whole update
check does. On one core the same process answers about twice as many (``python -m benchmarks.checks``).
"""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

_held: list[int] = []
"""Descriptors of the locks of this process: they go when it goes."""


def stay_on_one_core(folder: Path) -> int | None:
    """Move all threads of this process to a core that no other web process of this ``folder`` stays on, and answer its number.

    Does nothing and answers None where there is only one core, where every core is taken, or where the system does not know how.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    core = _claimed(folder, cores) if len(cores) > 1 else None
    if core is not None:
        for thread in Path("/proc/self/task").iterdir():
            try:
                os.sched_setaffinity(int(thread.name), {core})
            except OSError as error:  # The thread has ended, or a sandbox forbids it.
                log.info("thread %s stays where it is: %s", thread.name, error.strerror)
    return core


def _claimed(folder: Path, cores: list[int]) -> int | None:
    for core in cores:
        descriptor = os.open(folder / f"core-{core}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        _held.append(descriptor)
        return core
    return None
