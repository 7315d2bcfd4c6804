"""Repair bodies that are almost JSON: one broken text must not cost the other events of its batch."""

from __future__ import annotations

import re

MAX_DEPTH = 32

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def repaired(raw: bytes) -> bytes:
    """Return the body with U+FFFD for lone surrogates and invalid UTF-8, and null for too deep values.

    A text that was cut inside an emoji ends with a lone surrogate. Values deeper than `MAX_DEPTH` are
    replaced. A valid body is returned unchanged.
    """
    whole = raw.decode("utf-8", "replace").encode()
    return _without_depths(_ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], whole))


def _without_depths(raw: bytes) -> bytes:
    parts, depth, kept = [], 0, 0
    for token in _TOKEN.finditer(raw):
        sign = token[0]
        if sign in (b"[", b"{"):
            depth += 1
            if depth == MAX_DEPTH + 1:
                parts += [raw[kept : token.start()], b"null"]
                kept = len(raw)  # Drops the rest if the value never ends.
        elif sign in (b"]", b"}"):
            depth -= 1
            if depth == MAX_DEPTH:
                kept = token.end()
    return b"".join([*parts, raw[kept:]])
