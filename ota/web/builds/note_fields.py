"""Release notes by language, as rows of a form: a language next to its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from flask import request

from ota.builds.fields import MAX_LANGUAGES
from ota.core.locales import normal
from ota.errors import Invalid
from ota.models import Version
from ota.web.forms import without_nul

LANGUAGE, TEXT, MORE = "notes_language", "notes_text", "more_notes"


@dataclass(frozen=True, slots=True)
class NoteRow:
    """One row, as it was typed."""

    language: str
    text: str

    @property
    def is_empty(self) -> bool:
        return not self.language.strip() and not self.text.strip()


def rows_of(version: Version) -> list[NoteRow]:
    """Return the version's notes by language."""
    return [NoteRow(tag, text) for tag, text in (version.localized_notes or {}).items()]


def rows_sent() -> list[NoteRow]:
    """Return the rows of the submitted form, without empty ones."""
    pairs = zip(request.form.getlist(LANGUAGE), request.form.getlist(TEXT), strict=False)
    rows = [NoteRow(without_nul(language), without_nul(text)) for language, text in pairs]
    return [row for row in rows if not row.is_empty]


def with_empty(rows: Sequence[NoteRow]) -> list[NoteRow]:
    """Return the rows and an empty one for another language, unless there are `MAX_LANGUAGES`."""
    return [*rows, NoteRow("", "")] if len(rows) < MAX_LANGUAGES else list(rows)


def are_sent() -> bool:
    """Return whether the submitted form has rows at all."""
    return LANGUAGE in request.form


def wants_more() -> bool:
    """Return whether the form was submitted to get another row, and not to be saved."""
    return MORE in request.form


def changes(rows: Sequence[NoteRow], present: Mapping[str, str] | None) -> dict[str, str | None]:
    """Return the changes from the present notes to the rows. A language without a row is removed.

    Raises `Invalid` for a text without a language and for a language in two rows.
    """
    typed: dict[str, str | None] = {}
    for row in rows:
        tag = _tag(row)
        if tag in typed:
            raise Invalid(
                "language_twice", f"{tag} is there twice: put its notes into one row.", field=LANGUAGE
            )
        typed[tag] = row.text
    return {**dict.fromkeys(present or {}), **typed}


def _tag(row: NoteRow) -> str:
    language = row.language.strip()
    if not language:
        raise Invalid("bad_language", "Say which language this is: de, pt-BR.", field=LANGUAGE)
    with suppress(ValueError):  # `ota.builds.fields` refuses a malformed tag with a message of its own.
        return normal(language)
    return language
