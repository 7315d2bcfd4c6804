"""Type errors in plain words: what a field expected and what it got."""

from __future__ import annotations

import re

_KINDS = {"int": "whole number", "str": "text", "float": "number", "bool": "true or false"}
_QUOTED = re.compile(r"`([^`]*)`")


def in_words(problem: str) -> str:
    """Put a type error of msgspec into plain words.

    "Expected `int | null`, got `str`" becomes "expected whole number or null, got text".
    """
    named = _QUOTED.sub(
        lambda quoted: " or ".join(_KINDS.get(kind, kind) for kind in quoted[1].split(" | ")), problem
    )
    return named[:1].lower() + named[1:]
