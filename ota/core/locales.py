"""Which language of a text a device is shown: the lookup of RFC 4647, section 3.4."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

MAX_LENGTH = 35
"""A language tag that is longer says nothing to us; RFC 5646, section 4.4.1, asks for at least so much room."""

_FORM = re.compile(r"[a-z]{2,8}(?:-[a-z0-9]{1,8})*", re.ASCII)


def best(tags: Mapping[str, str], wanted: str | None) -> str | None:
    """Of the texts, named by lower-case language tags, the one for the wanted language; None when the text for everybody else will do.

    ``pt-BR`` (or ``pt_BR``) finds ``pt-br``, then ``pt``. What is no language tag finds nothing and is no error.
    """
    tag = best_tag(tags, wanted)
    return None if tag is None else tags[tag]


def best_tag(tags: Container[str], wanted: str | None) -> str | None:
    """The same for the name of the text instead of the text."""
    if not wanted or len(wanted) > MAX_LENGTH:
        return None
    parts = wanted.strip().lower().replace("_", "-").split("-")
    while parts:
        tag = "-".join(parts)
        if tag in tags:
            return tag
        parts.pop()
        # A single letter only announces what follows it (zh-hant-x-private).
        if parts and len(parts[-1]) == 1:
            parts.pop()
    return None


def normal(tag: str) -> str:
    """The form in which languages are kept: ``pt-br`` for ``pt-BR`` and ``pt_BR``. Raises ``ValueError`` for what is no language tag."""
    found = tag.strip().lower().replace("_", "-")
    if len(found) > MAX_LENGTH or not _FORM.fullmatch(found):
        shown = tag if len(tag) <= MAX_LENGTH else tag[:MAX_LENGTH] + "..."
        raise ValueError(f"'{shown}' is no language tag. Expected one such as de or pt-BR.")
    return found
