"""A child that does what its file says instead of reading it: sleep, spin, eat memory, die, fail."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path

from ota.errors import Rejected
from ota.packages import PackageFacts
from ota.packages import __main__ as real


def misbehave(path: Path) -> PackageFacts:
    trick, _, argument = path.read_text().partition(" ")
    if trick == "sleep":
        time.sleep(60)
    if trick == "spin":
        while True:
            pass
    if trick == "eat":
        eaten = [bytes(10 * 1024**2) for _ in range(1000)]
        raise Rejected("ate", str(len(eaten)))
    if trick == "flood":
        while True:
            sys.stdout.write("x" * 65_536)
    if trick == "stammer":
        sys.stdout.write('{"facts": ')
        sys.stdout.flush()
        os._exit(1)
    if trick == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if trick == "disk":
        raise OSError(errno.EIO, "Input/output error")
    if trick == "tell":
        secret = "a secret" if any(name.startswith("OTA_") for name in os.environ) else "no secret"
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            Path(argument).write_text("x")
            raise Rejected("told", f"{secret}; written")
        except OSError:
            raise Rejected("told", f"{secret}; not written") from None
    raise ZeroDivisionError("a fault of ours")


real.read_here = misbehave
real.main(*sys.argv[1:3])
