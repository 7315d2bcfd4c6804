"""The language in which a device is shown a text: the lookup of RFC 4647, section 3.4."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

MAX_LENGTH = 35
"""Longer language tags are ignored. RFC 5646, section 4.4.1, requires room for this many characters."""

_FORM = re.compile(r"[a-z]{2,8}(?:-[a-z0-9]{1,8})*", re.ASCII)


def best(tags: Mapping[str, str], wanted: str | None) -> str | None:
    """Return the text for the wanted language, or None if no text fits. ``tags`` are lower-case language
    tags.

    ``pt-BR`` (or ``pt_BR``) finds ``pt-br``, then ``pt``. An invalid language tag finds nothing and is not an
    error.
    """
    tag = best_tag(tags, wanted)
    return None if tag is None else tags[tag]


def best_tag(tags: Container[str], wanted: str | None) -> str | None:
    """Return the tag of the text that `best` would return."""
    if not wanted or len(wanted) > MAX_LENGTH:
        return None
    parts = wanted.strip().lower().replace("_", "-").split("-")
    while parts:
        tag = "-".join(parts)
        if tag in tags:
            return tag
        parts.pop()
        # A single letter only introduces what follows it (zh-hant-x-private).
        if parts and len(parts[-1]) == 1:
            parts.pop()
    return None


def normal(tag: str) -> str:
    """Return a language tag as it is stored: ``pt-br`` for ``pt-BR`` and ``pt_BR``.

    Raises ``ValueError`` for an invalid language tag.
    """
    stored = tag.strip().lower().replace("_", "-")
    if len(stored) > MAX_LENGTH or not _FORM.fullmatch(stored):
        shown = tag if len(tag) <= MAX_LENGTH else tag[:MAX_LENGTH] + "..."
        raise ValueError(f"'{shown}' is no language tag. Expected one such as de or pt-BR.")
    return stored
