"""A child that executes the command in its file instead of reading it: sleep, spin, eat memory, die, fail."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ota.errors import Rejected
from ota.packages import PackageFacts
from ota.packages import __main__ as real


def misbehave(path: Path) -> PackageFacts:
    trick, _, argument = path.read_text().partition(" ")
    if trick in TRICKS:
        TRICKS[trick]()
    if trick == "write":
        _write(Path(argument))
    raise ZeroDivisionError("a bug")


def _spin() -> None:
    while True:
        pass


def _eat() -> None:
    eaten = [bytes(10 * 1024**2) for _ in range(1000)]
    raise Rejected("ate", str(len(eaten)))


def _flood() -> None:
    while True:
        sys.stdout.write("x" * 65_536)


def _stammer() -> None:
    sys.stdout.write('{"facts": ')
    sys.stdout.flush()
    os._exit(1)


def _fail_as_a_disk() -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def _spy() -> None:
    has_secret = any(name.startswith("OTA_") for name in os.environ)
    raise Rejected("a_secret" if has_secret else "no_secret", "")


def _write(target: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        target.write_text("x")
    except OSError:
        raise Rejected("not_written", "") from None
    raise Rejected("written", "")


TRICKS: dict[str, Callable[[], None]] = {
    "sleep": lambda: time.sleep(60),
    "spin": _spin,
    "eat": _eat,
    "flood": _flood,
    "stammer": _stammer,
    "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "disk": _fail_as_a_disk,
    "spy": _spy,
}

real.read_here = misbehave
real.main(*sys.argv[1:3])
