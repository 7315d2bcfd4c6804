"""The text files of scheme v1: sections of attributes, and the digests in them.

Sources: "JAR File Specification" for the form; for which digest counts on which phone, Android's ``apksig``, whose reader
of the form (lines, continuation, where a section stops) this follows, since section digests depend on it.
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
"""Android 4.3 and later take the strongest that is there."""
_ANCIENT = {
    "MD5": ("md5", 0),
    "SHA": ("sha1", 0),
    "SHA1": ("sha1", 0),
    "SHA-1": ("sha1", 0),
    "SHA-256": ("sha256", 0),
    "SHA-384": ("sha384", 9),
    "SHA-512": ("sha512", 9),
}
"""Before, the first of a list counted; with the API level that knows the algorithm."""
_MODERN_SDK = 18


@dataclass(frozen=True)
class Section:
    """Attributes by their lower-case names, and the bytes that they were read from, with the empty line behind them."""

    attributes: dict[str, str]
    raw: bytes

    @property
    def name(self) -> str | None:
        return self.attributes.get("name")

    def digests(self, suffix: str, min_sdk: int) -> set[tuple[str, bytes]] | None:
        """Each digest that some phone from ``min_sdk`` on compares, as (hashlib's name, value); None when one finds none."""
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
    """All sections in their order; the first is the main one. Text that isn't UTF-8 gets replacement characters."""
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
    """Are these all digests of the data?"""
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
