"""Type errors of msgspec in plain words: only the names of types are replaced, not the text around them."""

from __future__ import annotations

import msgspec
import pytest

from ota.core.type_errors import in_words


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        ("x", int, "expected whole number, got text"),
        (1, str, "expected text, got whole number"),
        ("x", int | None, "expected whole number or null, got text"),
        (1, bool, "expected true or false, got whole number"),
        ({}, list[str], "expected array, got object"),
        ([], dict[str, int], "expected object, got array"),
        ("x", float, "expected number, got text"),
    ],
)
def test_the_types_are_named_as_people_name_them(value: object, kind: type, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.convert(value, kind)
    assert in_words(str(refusal.value)) == words


@pytest.mark.parametrize("text", ["invalid point of interest", "stray string: printed", "interval"])
def test_words_that_contain_the_name_of_a_type_are_kept(text: str) -> None:
    assert in_words(text) == text
