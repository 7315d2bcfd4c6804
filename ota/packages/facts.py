"""What a build says about itself."""

from __future__ import annotations

from dataclasses import dataclass

from ota.core.platforms import Platform

MAX_TEXT = 255


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """Read from the file, never from its name. Texts are hostile: shorten and escape them.

    ``version`` and ``version_code`` are None where the file does not say them in a form that can be used.
    """

    platform: Platform
    package_id: str
    version: str | None
    version_code: int | None


def clean_text(value: object) -> str | None:
    """A text from a package without control characters, at most 255 long; None when nothing is left."""
    if not isinstance(value, str):
        return None
    visible = "".join(character for character in value if character.isprintable()).strip()
    return visible[:MAX_TEXT] or None
