"""The child process that reads one package: ``python -m ota.packages <path> <seconds>``.

`ota.packages.child` starts it.
"""

from __future__ import annotations

import resource
import sys
import traceback
from pathlib import Path

import msgspec

from ota.errors import Rejected
from ota.packages.child import MEMORY_BYTES, READER_FAILED, TOO_MUCH_MEMORY, ReaderAnswer
from ota.packages.reading import read_here


def main(path: str, seconds: str) -> None:
    """Limit this process's resources, read the package, and write the answer to standard output as JSON."""
    _limit_resources(int(seconds))
    sys.stdout.buffer.write(msgspec.json.encode(_answer(Path(path))))


def _limit_resources(seconds: int) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, 2 * seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def _answer(path: Path) -> ReaderAnswer:
    try:
        return ReaderAnswer(facts=read_here(path))
    except Rejected as error:
        return ReaderAnswer(rejected=(error.code, error.message))
    except MemoryError:
        return ReaderAnswer(rejected=TOO_MUCH_MEMORY)
    except OSError as error:
        return ReaderAnswer(failed=(error.errno or 0, error.strerror or str(error)))
    # A bug that this file met: reject the file at once, and leave the details to the log.
    except Exception:
        traceback.print_exc()
        return ReaderAnswer(rejected=READER_FAILED)


if __name__ == "__main__":
    main(*sys.argv[1:3])
