"""The child that reads one package: ``python -m ota.packages <path> <seconds>``. Started by `ota.packages.child`."""

from __future__ import annotations

import resource
import sys
import traceback
from pathlib import Path

import msgspec

from ota.errors import Rejected
from ota.packages.child import MEMORY_BYTES, Answer, too_much_memory, unknown
from ota.packages.reading import read_here


def main(path: str, seconds: str) -> None:
    """Give up what is not needed, read, say what was found, end."""
    limit = int(seconds)
    for kind, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, 2 * limit),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))
    sys.stdout.buffer.write(msgspec.json.encode(_answer(Path(path))))


def _answer(path: Path) -> Answer:
    try:
        return Answer(facts=read_here(path))
    except Rejected as error:
        return Answer(rejected=(error.code, error.message))
    except MemoryError:
        return Answer(rejected=too_much_memory())
    except OSError as error:
        return Answer(failed=(error.errno or 0, error.strerror or str(error)))
    except (
        Exception
    ):  # A fault of ours met by a strange file: the file is refused at once, the log has the rest.
        traceback.print_exc()
        return Answer(rejected=unknown())


if __name__ == "__main__":
    main(*sys.argv[1:3])
