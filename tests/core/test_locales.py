"""The language in which a device is shown the notes."""

from __future__ import annotations

import pytest

from ota.core.locales import best, best_tag

NOTES = {"pt": "Novo", "pt-br": "Novo!", "zh-hant": "新", "de": "Neu"}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("de", "Neu"),
        ("DE", "Neu"),
        ("de-AT", "Neu"),
        ("de_AT", "Neu"),
        (" de-AT-1996 ", "Neu"),
        ("pt-BR", "Novo!"),
        ("pt_br", "Novo!"),
        ("pt-PT", "Novo"),
        ("zh-Hant-TW", "新"),
        ("zh-Hant-x-private", "新"),
        ("zh-Hans", None),
        ("zh", None),
        ("fr", None),
        ("", None),
        (None, None),
        ("-", None),
        ("*", None),
        ("d", None),
        ("deutsch", None),
        ("de" + "-x" * 40, None),
        ("\ud800", None),
    ],
)
def test_the_nearest_language_is_found_by_cutting_from_the_right(
    wanted: str | None, found: str | None
) -> None:
    assert best(NOTES, wanted) == found


def test_without_texts_no_text_is_found() -> None:
    assert best({}, "de") is None
    assert best_tag((), "de") is None
    assert best_tag(("de",), "de-CH") == "de"
