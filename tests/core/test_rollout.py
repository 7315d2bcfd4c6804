"""The draw of a partial rollout, as the decision uses it."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.core.catalog import Candidate, Catalog
from ota.core.decision import Offer, UpdateQuery, decide
from ota.core.rollout import FULL, bucket, buckets_inside
from ota.core.versions import parse_current_version

ids = st.text(min_size=1, max_size=40)
OLDER = parse_current_version("1.0.0+1")


def is_offered(rollout: int, salt: str, device: str | None, first: int = 0) -> bool:
    """Return whether a device gets the only release, which is open to ``rollout`` basis points."""
    release = Candidate(2, 2, "1.1.0", 2, rollout, salt, bucket_from=first)
    query = UpdateQuery(OLDER, device)
    return isinstance(decide(query, Catalog.of([release]), datetime(2026, 1, 1, tzinfo=UTC)), Offer)


def test_the_bucket_is_the_documented_hash() -> None:
    digest = hashlib.sha256(b"salt:device").hexdigest()
    assert bucket("salt", "device") == int(digest[:16], 16) % 10_000


@given(ids, ids, st.integers(0, FULL), st.integers(0, FULL))
def test_a_device_is_offered_a_release_if_its_bucket_is_inside(
    salt: str, device: str, rollout: int, first: int
) -> None:
    first = min(first, FULL - rollout)
    number = bucket(salt, device)
    assert is_offered(rollout, salt, device, first) is (first <= number < first + rollout)
    assert (number in buckets_inside(rollout, first)) is (first <= number < first + rollout)


@given(ids, ids, st.integers(0, FULL), st.integers(0, FULL))
def test_raising_a_rollout_never_ejects_a_device(salt: str, device: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert not is_offered(low, salt, device) or is_offered(high, salt, device)


@given(ids, ids)
def test_zero_is_no_device_and_ten_thousand_is_every_device(salt: str, device: str) -> None:
    assert not is_offered(0, salt, device)
    assert is_offered(FULL, salt, device)


@pytest.mark.parametrize("device", [None, ""])
def test_a_device_without_an_id_is_only_in_a_full_rollout(device: str | None) -> None:
    assert not is_offered(9_999, "salt", device)
    assert is_offered(FULL, "salt", device)


COUNT = 100_000
KINDS: dict[str, Callable[[], list[str]]] = {
    "uuid": lambda: [
        str(UUID(int=draw.getrandbits(128), version=4)) for draw in [Random(1)] for _ in range(COUNT)
    ],
    "sequence": lambda: [str(number) for number in range(COUNT)],
    "named sequence": lambda: [f"device-{number:06}" for number in range(COUNT)],
    "android id": lambda: [f"{draw.getrandbits(64):016x}" for draw in [Random(2)] for _ in range(COUNT)],
}
"""Forms of ids that real devices have."""


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
