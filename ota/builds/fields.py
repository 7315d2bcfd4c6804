"""What a version's fields may hold. Each function answers the cleaned value or raises `Invalid` naming the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from ota.core.locales import normal
from ota.core.versions import MAX_VERSION_CODE, parse_current_version
from ota.errors import Invalid

MAX_NOTES = 20_000
MAX_LANGUAGES = 40
MAX_NAME = 50
MAX_URL = 500
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)


def checksum(text: str | None) -> str | None:
    """A lower-case SHA-256, with or without the ``sha256:`` prefix. Raises `Invalid`."""
    if text is None or not text.strip():
        return None
    match = _SHA256.fullmatch(text.strip())
    if match is None:
        raise Invalid.about(
            "checksum",
            "bad_checksum",
            "expected the file's SHA-256 as 64 hexadecimal digits (sha256sum prints it).",
        )
    return match[1].lower()


def name(text: str) -> str:
    """A version's name: 1 to 50 printable characters, free text."""
    text = text.strip()
    if not 1 <= len(text) <= MAX_NAME or not text.isprintable():
        raise Invalid.about(
            "version", "bad_version", f"expected a name of 1 to {MAX_NAME} characters, for example 1.4.0."
        )
    return text


def version_code(code: int) -> int:
    """A whole number from 0 to the largest signed 64-bit one."""
    if not 0 <= code <= MAX_VERSION_CODE:
        raise Invalid.about(
            "version_code", "bad_version_code", f"expected a whole number from 0 to {MAX_VERSION_CODE}."
        )
    return code


def file_size(size: int | None) -> int | None:
    """Bytes, above 0, or None where nobody said."""
    if size is not None and not 0 < size <= MAX_VERSION_CODE:
        raise Invalid.about("file_size", "bad_file_size", "expected the number of bytes, above 0.")
    return size


def download_url(url: str | None) -> str:
    """An absolute http or https address of at most 500 characters. Nothing is fetched from it."""
    text = (url or "").strip()
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_usable = False
    if not is_usable or len(text) > MAX_URL or not text.isprintable() or " " in text:
        raise Invalid.about(
            "download_url",
            "bad_download_url",
            f"expected an absolute http or https address of at most {MAX_URL} characters.",
        )
    return text


def release_notes(text: str | None) -> str | None:
    """Plain text of at most 20,000 characters with plain line ends; None when nothing is left."""
    text = (text or "").replace("\r\n", "\n").replace("\x00", "").strip()
    if len(text) > MAX_NOTES:
        raise Invalid.about("release_notes", "notes_too_long", f"at most {MAX_NOTES:,} characters.")
    return text or None


def min_supported_version(text: str | None) -> str | None:
    """A version that can be compared with what devices send; None when nothing was given."""
    if text is None or not text.strip():
        return None
    try:
        bound = parse_current_version(text).text
    except ValueError as error:
        raise Invalid.about("min_supported_version", "bad_min_supported_version", f"{error}") from error
    if len(bound) > MAX_NAME:
        raise Invalid.about(
            "min_supported_version", "bad_min_supported_version", f"at most {MAX_NAME} characters."
        )
    return bound


def localized_notes(
    present: Mapping[str, str] | None, changes: Mapping[str, str | None]
) -> dict[str, str] | None:
    """The notes by lower-case language tag after the ``changes``; None or an empty text removes a language.

    Raises `Invalid` for what is no language tag, for a language that is there twice (``pt-BR`` and ``pt_br``), for a text that is too long
    and for too many languages. None when nothing is left.
    """
    found, said = dict(present or {}), set[str]()
    for language, text in changes.items():
        try:
            tag = normal(language)
        except ValueError as error:
            raise Invalid.about("localized_notes", "bad_language", f"{error}") from error
        if tag in said:
            raise Invalid.about(
                "localized_notes", "language_twice", f"{tag} is there twice. Send each language once."
            )
        said.add(tag)
        notes = (text or "").replace("\r\n", "\n").replace("\x00", "").strip()
        if len(notes) > MAX_NOTES:
            raise Invalid.about(
                "localized_notes", "notes_too_long", f"at most {MAX_NOTES:,} characters in {tag}."
            )
        if notes:
            found[tag] = notes
        else:
            found.pop(tag, None)
    if len(found) > MAX_LANGUAGES:
        raise Invalid.about("localized_notes", "too_many_languages", f"at most {MAX_LANGUAGES} languages.")
    return dict(sorted(found.items())) or None
