"""The text files of scheme v1: sections of attributes, and the digests in them.

Sources: "JAR File Specification" for the format, and Android's ``apksig`` for the digests that each phone
compares. Lines, continuations and the ends of sections are parsed as in ``apksig``, since section digests
depend on them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ota.packages.signing.refusals import parsing

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\r|\n|\Z)")
_MODERN = (("SHA-512", "sha512"), ("SHA-384", "sha384"), ("SHA-256", "sha256"), ("SHA1", "sha1"))
"""Android 4.3 and later use the strongest digest that is present."""
_ANCIENT = {
    "MD5": ("md5", 0),
    "SHA": ("sha1", 0),
    "SHA1": ("sha1", 0),
    "SHA-1": ("sha1", 0),
    "SHA-256": ("sha256", 0),
    "SHA-384": ("sha384", 9),
    "SHA-512": ("sha512", 9),
}
"""Older versions use the first of a list. Each algorithm with the API level that knows it."""
_MODERN_SDK = 18


@dataclass(frozen=True)
class Section:
    """Attributes by lower-case name, and the bytes of the section, including the empty line behind it."""

    attributes: dict[str, str]
    raw: bytes

    @property
    def name(self) -> str | None:
        return self.attributes.get("name")

    def digests(self, suffix: str, min_sdk: int) -> set[tuple[str, bytes]] | None:
        """Return the digests that phones from ``min_sdk`` on compare, as (name in hashlib, value).

        None if some phone finds none.
        """
        found: set[tuple[str, bytes]] = set()
        if min_sdk < _MODERN_SDK:
            ancient = self._ancient(suffix, min_sdk)
            if ancient is None:
                return None
            found.add(ancient)
        for label, name in _MODERN:
            value = self.attributes.get(f"{label}{suffix}".lower())
            if value is not None:
                found.add((name, _decoded(value)))
                break
        return found or None

    def _ancient(self, suffix: str, min_sdk: int) -> tuple[str, bytes] | None:
        for label in self.attributes.get("digest-algorithms", "SHA SHA1").split():
            value = self.attributes.get(f"{label}{suffix}".lower())
            name, since = _ANCIENT.get(label.upper(), ("", 0))
            if value is not None and name and since <= min_sdk:
                return name, _decoded(value)
        return None


def sections(data: bytes) -> list[Section]:
    """Return all sections, the main one first.

    Text that isn't UTF-8 is decoded with replacement characters.
    """
    found: list[Section] = []
    attributes: list[list[bytes]] = []
    start = 0
    for line, begin, stop in _lines(data):
        if line.startswith(b" ") and attributes:
            attributes[-1].append(line[1:])
        elif line:
            if not attributes:
                start = begin
            attributes.append([line])
        elif attributes:
            found.append(Section(_parsed(attributes), data[start:stop]))
            attributes = []
    if attributes:
        found.append(Section(_parsed(attributes), data[start:]))
    return found


def matches(digests: set[tuple[str, bytes]], data: bytes) -> bool:
    """Return whether all digests are those of the data."""
    return all(hashlib.new(name, data, usedforsecurity=False).digest() == value for name, value in digests)


def _lines(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = 0
    while at < len(data):
        match = _LINE.match(data, at)
        if match is None:  # pragma: no cover - the pattern matches everywhere
            return
        yield match[1], at, match.end()
        at = match.end()


def _parsed(lines: list[list[bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for parts in lines:
        name, _, value = b"".join(parts).decode("utf-8", "replace").partition(": ")
        found.setdefault(name.lower(), value)
    return found


def _decoded(value: str) -> bytes:
    with parsing("a digest in its manifest"):
        return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
