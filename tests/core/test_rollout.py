"""The draw of a partial rollout."""

import hashlib
from collections.abc import Callable
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.core.rollout import FULL, bucket, is_in_rollout

ids = st.text(min_size=1, max_size=40)


def test_the_bucket_is_the_documented_hash() -> None:
    digest = hashlib.sha256(b"salt:device").hexdigest()
    assert bucket("salt", "device") == int(digest[:16], 16) % 10_000


@given(ids, ids, st.integers(0, FULL), st.integers(0, FULL))
def test_raising_a_rollout_never_ejects_anyone(salt: str, device: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert not is_in_rollout(low, salt, device) or is_in_rollout(high, salt, device)


@given(ids, ids)
def test_zero_is_nobody_and_ten_thousand_everybody(salt: str, device: str) -> None:
    assert not is_in_rollout(0, salt, device)
    assert is_in_rollout(FULL, salt, device)


def test_a_device_without_an_id_is_only_in_a_full_rollout() -> None:
    assert not is_in_rollout(9_999, "salt", None)
    assert not is_in_rollout(9_999, "salt", "")
    assert is_in_rollout(FULL, "salt", None)


COUNT = 100_000
KINDS: dict[str, Callable[[], list[str]]] = {
    "uuid": lambda: [
        str(UUID(int=draw.getrandbits(128), version=4)) for draw in [Random(1)] for _ in range(COUNT)
    ],
    "sequence": lambda: [str(number) for number in range(COUNT)],
    "named sequence": lambda: [f"device-{number:06}" for number in range(COUNT)],
    "android id": lambda: [f"{draw.getrandbits(64):016x}" for draw in [Random(2)] for _ in range(COUNT)],
}
"""Ids as devices have them."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_share_of_the_devices_is_that_share_whatever_their_ids_look_like(kind: str) -> None:
    buckets = [bucket("salt", device) for device in KINDS[kind]()]
    for basis_points in (100, 1_000, 2_500, 5_000):
        inside = sum(number < basis_points for number in buckets) / COUNT
        assert abs(inside - basis_points / FULL) < 0.005, basis_points


@pytest.mark.parametrize("kind", KINDS)
def test_two_releases_draw_devices_independently(kind: str) -> None:
    both = sum(bucket("one", device) < 1_000 and bucket("two", device) < 1_000 for device in KINDS[kind]())
    assert abs(both / COUNT - 0.01) < 0.002
