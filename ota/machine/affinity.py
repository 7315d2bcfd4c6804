"""Affinity: bind a web process to one processor core.

The threads of a Python process run Python code one at a time. A switch to a thread on another core costs more
than a whole update check. On one core the same process answers about twice as many checks
(``python -m benchmarks.checks``).
"""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

_held: list[int] = []
"""Descriptors of this process's locks. The system releases them when the process ends."""


def stay_on_one_core(folder: Path) -> int | None:
    """Bind all threads of this process to a core that no other web process of this ``folder`` uses.

    Returns the number of the core. Returns None and changes nothing if there is only one core, if all cores
    are taken, or if the system cannot bind threads.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    core = _claim(folder, cores) if len(cores) > 1 else None
    if core is not None:
        for thread in Path("/proc/self/task").iterdir():
            try:
                os.sched_setaffinity(int(thread.name), {core})
            except OSError as error:  # The thread has ended, or a sandbox forbids it.
                log.info("thread %s is not bound to a core: %s", thread.name, error.strerror)
    return core


def _claim(folder: Path, cores: list[int]) -> int | None:
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
