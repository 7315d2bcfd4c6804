"""Opening a ZIP archive that nobody has vouched for. Nothing is ever extracted to disk."""

from __future__ import annotations

import errno
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from ota.errors import Rejected

MAX_ENTRIES = 100_000
# Seeking to where a lying header points, or a decompressor's complaint.
_FAULTS_OF_THE_FILE = {None, errno.EINVAL}
_MAGIC = b"PK\x03\x04"


@contextmanager
def opened(path: Path) -> Iterator[ZipFile]:
    """The archive, with its entry count bounded. Raises `Rejected` for what is no archive or a damaged one."""
    with path.open("rb") as file:
        has_magic = file.read(4) == _MAGIC
    if not has_magic:
        raise Rejected("not_a_package", "This file is not an APK or IPA: it is not a ZIP archive. Upload the file that your build made.")
    try:
        with ZipFile(path) as archive:
            if len(archive.infolist()) > MAX_ENTRIES:
                raise Rejected(
                    "too_many_entries", f"The archive has more than {MAX_ENTRIES:,} entries. That is no build that a phone installs."
                )
            yield archive
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error) as error:
        raise _damaged() from error
    except OSError as error:
        if error.errno not in _FAULTS_OF_THE_FILE:
            raise  # The disk failed, not the file.
        raise _damaged() from error


def read_entry(archive: ZipFile, name: str, limit: int) -> bytes:
    """One entry, inflated, its bytes counted while inflating because headers lie. Raises `Rejected` above ``limit``."""
    if archive.getinfo(name).compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        raise Rejected("odd_compression", "The archive is compressed in a way that phones can't read. Build it with the ordinary tools.")
    with archive.open(name) as entry:
        data = entry.read(limit + 1)
    if len(data) > limit:
        raise Rejected(
            "entry_too_large", f"An entry that describes the build is larger than {limit // 1024**2} MiB. That is no ordinary build."
        )
    return data


def _damaged() -> Rejected:
    return Rejected("damaged_archive", "The archive is cut off or damaged: its directory can't be read. Upload the file again, whole.")
