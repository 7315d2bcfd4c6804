"""Release notes by language, as rows of a form: a language beside its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import request

from ota.builds.fields import MAX_LANGUAGES
from ota.core.locales import normal
from ota.errors import Invalid
from ota.models import Version
from ota.web.forms import without_nul

LANGUAGE, TEXT, MORE = "notes_language", "notes_text", "more_notes"


@dataclass(frozen=True, slots=True)
class Row:
    """What one row says, as it was typed."""

    language: str
    text: str

    @property
    def is_empty(self) -> bool:
        return not self.language.strip() and not self.text.strip()


def rows_of(version: Version) -> list[Row]:
    """What is there, and one empty row for another language."""
    return with_empty([Row(tag, text) for tag, text in (version.localized_notes or {}).items()])


def rows_sent() -> list[Row]:
    """What was typed, without the empty rows."""
    pairs = zip(request.form.getlist(LANGUAGE), request.form.getlist(TEXT), strict=False)
    rows = [Row(without_nul(language), without_nul(text)) for language, text in pairs]
    return [row for row in rows if not row.is_empty]


def with_empty(rows: Sequence[Row]) -> list[Row]:
    """The rows with an empty one below, while there may be more languages."""
    return [*rows, Row("", "")] if len(rows) < MAX_LANGUAGES else list(rows)


def are_sent() -> bool:
    """Does the form speak of languages at all?"""
    return LANGUAGE in request.form


def wants_more() -> bool:
    """Was another row asked for, and nothing to be saved yet?"""
    return MORE in request.form


def changes(rows: Sequence[Row], present: Mapping[str, str] | None) -> dict[str, str | None]:
    """What the rows make of the notes that are there: a language that is in no row any more is removed.

    Raises `Invalid` for a text without a language and for a language in two rows.
    """
    said: dict[str, str | None] = {}
    for row in rows:
        language = row.language.strip()
        if not language:
            raise Invalid("bad_language", "Say which language this is: de, pt-BR.", field=LANGUAGE)
        tag = language
        try:
            tag = normal(language)
        except ValueError:
            pass  # The service refuses it in its own words.
        if tag in said:
            raise Invalid(
                "language_twice", f"{tag} is there twice: put its notes into one row.", field=LANGUAGE
            )
        said[tag] = row.text
    return {**dict.fromkeys(present or {}), **said}
