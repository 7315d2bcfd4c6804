"""Parsing and comparing versions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.core.versions import (
    EXPECTED_FORM,
    MAX_VERSION_CODE,
    compare_to_device,
    is_below,
    parse_current_version,
    parse_name,
)


@pytest.mark.parametrize(
    ("text", "numbers", "build"),
    [
        ("1.0.0+1", (1, 0, 0, 0), 1),
        ("v1.2.3", (1, 2, 3, 0), None),
        ("1.2", (1, 2, 0, 0), None),
        ("1.2.3.4+5", (1, 2, 3, 4), 5),
        ("7", (7, 0, 0, 0), None),
        (" 1.0.0+1 ", (1, 0, 0, 0), 1),
        ("1.0.0+9223372036854775807", (1, 0, 0, 0), MAX_VERSION_CODE),
    ],
)
def test_real_versions_are_parsed(text: str, numbers: tuple[int, ...], build: int | None) -> None:
    parsed = parse_current_version(text)
    assert (parsed.name.numbers, parsed.build) == (numbers, build)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "banana",
        "1.2.3.4.5",
        "1..2",
        "-1.0",
        "1.0.0+",
        "1.0+x",
        "1.0.0+9223372036854775808",
        "1" * 200,
        "١.٢",
    ],
)
def test_other_texts_are_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(EXPECTED_FORM)):
        parse_current_version(text)


def test_names_are_ordered_as_the_specification_of_semantic_versioning_lists_them() -> None:
    listed = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
    ]
    names = [parse_name(text) for text in listed]
    assert names == sorted(names)  # type: ignore[type-var]


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=4),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=4),
)
def test_plain_names_are_ordered_like_their_numbers(left: list[int], right: list[int]) -> None:
    first, second = (parse_name(".".join(map(str, numbers))) for numbers in (left, right))
    assert first is not None
    assert second is not None
    padded = [[*numbers, 0, 0, 0][:4] for numbers in (left, right)]
    assert (first < second, first == second) == (padded[0] < padded[1], padded[0] == padded[1])


def test_with_a_build_number_the_codes_are_compared_and_not_the_names() -> None:
    device = parse_current_version("9.9.9+5")
    assert compare_to_device(6, "1.0.0", device) == 1
    assert compare_to_device(5, "10.0.0", device) == 0
    assert compare_to_device(4, "10.0.0", device) == -1


def test_without_a_build_number_the_names_are_compared() -> None:
    device = parse_current_version("1.2.0")
    assert compare_to_device(1, "1.2.1", device) == 1
    assert compare_to_device(9, "1.2", device) == 0
    assert compare_to_device(9, "1.2.0-rc.1", device) == -1


def test_a_name_without_an_order_is_never_newer() -> None:
    assert compare_to_device(9, "spring edition", parse_current_version("0.0.1")) == -1


@pytest.mark.parametrize(
    ("device", "bound", "expected"),
    [
        ("1.0.0+1", "1.0.0+2", True),
        ("1.0.0+2", "1.0.0+2", False),
        ("2.0.0+1", "1.0.0+2", True),
        ("1.0.0+9", "1.1.0", True),
        ("1.1.0+1", "1.1.0", False),
        ("1.0.0", "1.0.0+5", False),
        ("1.0.0+1", None, False),
        ("1.0.0+1", "unreadable bound", False),
    ],
)
def test_a_bound_is_compared_by_build_numbers_if_both_have_one_else_by_names(
    device: str, bound: str | None, expected: bool
) -> None:
    assert is_below(parse_current_version(device), bound) is expected
