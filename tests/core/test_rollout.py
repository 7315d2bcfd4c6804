"""The draw of a partial rollout."""

import hashlib

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


def test_a_tenth_of_the_devices_is_inside_ten_percent() -> None:
    inside = sum(is_in_rollout(1_000, "salt", f"device-{number}") for number in range(20_000))
    assert abs(inside / 20_000 - 0.1) < 0.01


def test_two_releases_draw_different_devices() -> None:
    devices = [f"device-{number}" for number in range(20_000)]
    both = sum(is_in_rollout(1_000, "one", device) and is_in_rollout(1_000, "two", device) for device in devices)
    assert abs(both / 20_000 - 0.01) < 0.005
