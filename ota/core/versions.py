"""Version names and version codes: parsing and comparing them.

A *name* (``1.1.0-beta.2``) is for people; platforms compare the *code* (``+2``, the build number). Names are
ordered by Semantic Versioning 2.0.0, section 11, extended to one to four numbers because real builds have
them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, total_ordering

MAX_VERSION_CODE = 2**63 - 1
"""The largest version code. Android's ``longVersionCode`` is a signed 64-bit number, and so is the column."""

EXPECTED_FORM = "MAJOR.MINOR.PATCH+BUILD, for example 1.4.0+27"

_FORM = re.compile(
    r"""v?(?P<numbers>\d{1,18}(?:\.\d{1,18}){0,3})
        (?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?
        (?:\+(?P<build>\d{1,19}))?""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_MAX_LENGTH = 100


@total_ordering
@dataclass(frozen=True, slots=True)
class VersionName:
    """A parsed version name. ``1.2`` equals ``1.2.0`` and ``1.2.0.0``; a pre-release precedes its release."""

    numbers: tuple[int, int, int, int]
    prerelease: tuple[str, ...] = ()

    def _key(self) -> tuple[object, ...]:
        identifiers = tuple(
            (0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.prerelease
        )
        return (self.numbers, 0 if self.prerelease else 1, identifiers)

    def __lt__(self, other: VersionName) -> bool:
        return self._key() < other._key()


@dataclass(frozen=True, slots=True)
class CurrentVersion:
    """The version that a device reports: the name, and the build number if it sent one."""

    name: VersionName
    build: int | None
    text: str


@lru_cache(maxsize=4096)
def parse_current_version(text: str) -> CurrentVersion:
    """Parse the version that a device, or a ``min_supported_version``, states.

    Accept a leading ``v``, one to four numbers, a pre-release and ``+BUILD``. Raises ``ValueError``, with a
    message that names the expected form, for everything else and for a build number above
    ``MAX_VERSION_CODE``.
    """
    stripped = text.strip()
    match = _FORM.fullmatch(stripped) if len(stripped) <= _MAX_LENGTH else None
    if match is None:
        raise ValueError(f"{_shown(text)} is not a version. Expected {EXPECTED_FORM}.")
    build = int(match["build"]) if match["build"] is not None else None
    if build is not None and build > MAX_VERSION_CODE:
        raise ValueError(
            f"The build number in {_shown(text)} is above {MAX_VERSION_CODE}. Expected {EXPECTED_FORM}."
        )
    numbers = [int(number) for number in match["numbers"].split(".")]
    padded = (*numbers, 0, 0, 0)[:4]
    prerelease = tuple(match["pre"].split(".")) if match["pre"] else ()
    return CurrentVersion(
        VersionName((padded[0], padded[1], padded[2], padded[3]), prerelease), build, stripped
    )


@lru_cache(maxsize=4096)
def parse_name(text: str) -> VersionName | None:
    """Parse a name, or return None for free text (``2024 spring``), which has no order."""
    try:
        return parse_current_version(text).name
    except ValueError:
        return None


def compare_to_device(version_code: int, version_name: str, device: CurrentVersion) -> int:
    """Return -1, 0 or 1 if this version is older than, the same as, or newer than the device's version.

    If the device sent a build number, the codes are compared, otherwise the names. A name without an order
    counts as older, so that a device is never offered a version that might not be newer.
    """
    if device.build is not None:
        return (version_code > device.build) - (version_code < device.build)
    name = parse_name(version_name)
    if name is None:
        return -1
    return (name > device.name) - (name < device.name)


def is_below(device: CurrentVersion, bound: str | None) -> bool:
    """Return whether the device is below a bound such as ``min_supported_version``.

    Build numbers are compared if both sides have one, otherwise names. False without a bound, or if it is not
    a version.
    """
    if not bound:
        return False
    try:
        limit = parse_current_version(bound)
    except ValueError:
        return False
    if limit.build is not None and device.build is not None:
        return device.build < limit.build
    return device.name < limit.name


def _shown(text: str) -> str:
    shortened = text if len(text) <= 40 else text[:40] + "..."
    return f"'{shortened}'"
