"""Time to read and verify an APK: ``python -m benchmarks.read_apk [MB]``.

Prints the best of several runs, that of `sha256sum` on the same file, their ratio, and the peak memory of the
reading process.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from ota.packages import read_here, read_package
from tests.builders.packages import STAMP, manifest
from tests.builders.signing import sign_v2, signer

RUNS = 7


def make(path: Path, megabytes: int, share_stored: float) -> None:
    """Write a signed build of this size, packed as real ones: libraries are stored, the rest is deflated."""
    dice = random.Random(1)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(zipfile.ZipInfo("AndroidManifest.xml", STAMP), manifest())
        for number in range(megabytes):
            is_stored = number < megabytes * share_stored
            name = f"lib/arm64-v8a/lib{number}.so" if is_stored else f"assets/{number}.bin"
            info = zipfile.ZipInfo(name, STAMP)
            info.compress_type = zipfile.ZIP_STORED if is_stored else zipfile.ZIP_DEFLATED
            # Half noise, half text: it deflates to about half, as code and resources do.
            content = dice.randbytes(1_000_000)
            file.writestr(
                info, content if is_stored else content + b"the same words again and again " * 32_000
            )
    path.write_bytes(sign_v2(path.read_bytes(), signer("Benchmark")))


def best(act: Callable[[], object]) -> float:
    """Return the seconds of the fastest run."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return min(times)


def memory(path: Path) -> float:
    """Return the peak memory of the reading process, in MiB.

    A small process measures it, because a child starts as a copy of its parent.
    """
    code = "import sys, resource, pathlib; from ota.packages import read_package; "
    code += "read_package(pathlib.Path(sys.argv[1])); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    command = [sys.executable, "-c", code, path]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(output) / 1024


def main(megabytes: int = 100) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "build.apk"
        for share in (1.0, 0.5):
            make(path, megabytes, share)
            size = path.stat().st_size
            digest = best(lambda: subprocess.run(["sha256sum", path], stdout=subprocess.DEVNULL, check=True))
            child = best(lambda: read_package(path))
            here = best(lambda: read_here(path))
            print(f"{size / 1e6:.0f} MB, {share:.0%} of it stored ({os.cpu_count()} cores)")
            print(f"  sha256sum                {digest * 1000:7.0f} ms")
            print(f"  read in this process     {here * 1000:7.0f} ms   {here / digest:.2f} x")
            peak = f"at most {memory(path):.0f} MiB"
            print(f"  read in its own process  {child * 1000:7.0f} ms   {child / digest:.2f} x   {peak}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
