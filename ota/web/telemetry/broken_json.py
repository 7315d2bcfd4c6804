"""Bodies that are almost JSON: what is wrong in one text must not cost the batch around it."""

from __future__ import annotations

import re

DEEPEST = 32

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def mended(raw: bytes) -> bytes:
    """The body with U+FFFD for every half of a surrogate pair (a text that was cut inside of an emoji ends with one) and for bytes that
    are no UTF-8, and with null for what is nested deeper than `DEEPEST`. A body that is sound stays as it is."""
    whole = raw.decode("utf-8", "replace").encode()
    return _without_depths(_ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], whole))


def _without_depths(raw: bytes) -> bytes:
    parts, depth, kept = [], 0, 0
    for token in _TOKEN.finditer(raw):
        sign = token[0]
        if sign in (b"[", b"{"):
            depth += 1
            if depth == DEEPEST + 1:
                parts += [raw[kept : token.start()], b"null"]
                kept = len(raw)  # Nothing more, if it never ends.
        elif sign in (b"]", b"}"):
            depth -= 1
            if depth == DEEPEST:
                kept = token.end()
    return b"".join([*parts, raw[kept:]])
