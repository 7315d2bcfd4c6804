"""Rules for a version's fields.

Each function returns the cleaned value or raises `Invalid` with the field.
"""

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
    """Return a lower-case SHA-256 without the optional ``sha256:`` prefix; None for an empty text."""
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
    """Return a version name: free text of 1 to 50 printable characters."""
    text = text.strip()
    if not 1 <= len(text) <= MAX_NAME or not text.isprintable():
        raise Invalid.about(
            "version", "bad_version", f"expected a name of 1 to {MAX_NAME} characters, for example 1.4.0."
        )
    return text


def version_code(code: int) -> int:
    """Return a version code: a whole number from 0 to the largest signed 64-bit integer."""
    if not 0 <= code <= MAX_VERSION_CODE:
        raise Invalid.about(
            "version_code", "bad_version_code", f"expected a whole number from 0 to {MAX_VERSION_CODE}."
        )
    return code


def file_size(size: int | None) -> int | None:
    """Return a size in bytes, above 0; None if it is not known."""
    if size is not None and not 0 < size <= MAX_VERSION_CODE:
        raise Invalid.about("file_size", "bad_file_size", "expected the number of bytes, above 0.")
    return size


def download_url(url: str | None) -> str:
    """Return an absolute http or https address of at most 500 characters. The server does not fetch it."""
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
    """Return plain text of at most 20,000 characters with LF line ends; None for an empty text."""
    text = _plain(text)
    if len(text) > MAX_NOTES:
        raise Invalid.about("release_notes", "notes_too_long", f"at most {MAX_NOTES:,} characters.")
    return text or None


def min_supported_version(text: str | None) -> str | None:
    """Return a version that compares with the versions that devices send; None for an empty text."""
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
    """Return the notes by lower-case language tag, with the ``changes`` applied; None if no language is left.

    None or an empty text removes a language. Raises `Invalid` for a malformed language tag, a language that
    is sent twice (``pt-BR`` and ``pt_br``), a text that is too long, and too many languages.
    """
    found = {**(present or {}), **_cleaned(changes)}
    kept = {tag: notes for tag, notes in sorted(found.items()) if notes}
    if len(kept) > MAX_LANGUAGES:
        raise Invalid.about("localized_notes", "too_many_languages", f"at most {MAX_LANGUAGES} languages.")
    return kept or None


def _cleaned(changes: Mapping[str, str | None]) -> dict[str, str]:
    cleaned: dict[str, str] = {}
    for language, text in changes.items():
        tag = _language(language)
        if tag in cleaned:
            raise Invalid.about(
                "localized_notes", "language_twice", f"{tag} is there twice. Send each language once."
            )
        cleaned[tag] = _plain(text)
        if len(cleaned[tag]) > MAX_NOTES:
            raise Invalid.about(
                "localized_notes", "notes_too_long", f"at most {MAX_NOTES:,} characters in {tag}."
            )
    return cleaned


def _language(tag: str) -> str:
    try:
        return normal(tag)
    except ValueError as error:
        raise Invalid.about("localized_notes", "bad_language", f"{error}") from error


def _plain(text: str | None) -> str:
    return (text or "").replace("\r\n", "\n").replace("\x00", "").strip()
