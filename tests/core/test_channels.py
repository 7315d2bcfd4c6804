"""Channels: fallbacks, circles, and changes that loosen a two-person rule."""

from __future__ import annotations

import pytest

from ota.core.channels import ChannelRule, circle, followed, loosened, loosens


def rule(above: int | None = None, *falls_back_to: int) -> ChannelRule:
    return ChannelRule(frozenset(falls_back_to), above)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (rule(1000), rule(1000), False),
        (rule(1000), rule(500), False),
        (rule(1000), rule(0), False),
        (rule(1000), rule(1001), True),
        (rule(0), rule(1), True),
        (rule(1000), rule(None), True),
        (rule(0), rule(None), True),
        (rule(None), rule(1000), False),
        (rule(None), rule(None, 2), False),
        (rule(None), rule(1000, 2), False),
        (rule(1000), rule(1000, 2), True),
        (rule(1000, 2), rule(1000, 3), True),
        (rule(1000, 2, 3), rule(1000, 2), False),
        (rule(1000, 2), rule(500, 2, 3), True),
        (rule(1000, 2), rule(1000), False),
    ],
)
def test_a_rule_is_loosened_by_a_higher_threshold_and_by_another_fallback(
    before: ChannelRule, after: ChannelRule, expected: bool
) -> None:
    assert loosens(before, after) is expected


def test_a_rule_is_loosened_through_a_channel_without_one() -> None:
    before = {1: rule(1000, 2), 2: rule(None), 3: rule(None)}
    assert loosened(before, {**before, 2: rule(None, 3)}) == [1]
    assert loosened(before, {**before, 3: rule(None, 1)}) == []
    assert loosened(before, {**before, 1: rule(None)}) == [1]
    assert loosened({1: rule(1000, 2), 2: rule(500)}, {1: rule(1000, 2), 2: rule(600)}) == [2]
    # A channel that was followed already, on another path, loosens nothing.
    followed_already = {1: rule(1000, 2, 3), 2: rule(None), 3: rule(None)}
    assert loosened(followed_already, {**followed_already, 2: rule(None, 3)}) == []


def test_a_circle_is_found_and_shown() -> None:
    assert list(circle(1, {1: [2], 2: [3], 3: [1]})) == [1, 2, 3, 1]
    assert list(circle(1, {1: [1]})) == [1, 1]
    assert list(circle(1, {1: [2, 3], 2: [3], 3: [4]})) == []
    assert list(circle(1, {1: [2], 2: [3], 3: [2]})) == []


def test_a_channel_that_is_shut_off_hides_what_lies_behind_it() -> None:
    fallbacks = {1: [2], 2: [3], 3: []}
    assert followed(1, fallbacks) == [1, 2, 3]
    assert followed(1, fallbacks, shut_off=[2]) == [1]
    assert followed(1, fallbacks, shut_off=[1]) == []
