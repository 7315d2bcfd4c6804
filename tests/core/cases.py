"""Generated releases and questions, for the laws that each decision obeys."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st

from ota.core.catalog import Candidate
from ota.core.decision import UpdateQuery
from ota.core.lifecycle import LIVE_STATES, ReleaseState
from ota.core.platforms import os_numbers
from ota.core.versions import parse_current_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLES = int(os.environ.get("OTA_EXAMPLES", "100"))
many = settings(max_examples=EXAMPLES, deadline=None)

CODES = st.integers(0, 9)
MOMENTS = st.sampled_from(
    [None, NOW - timedelta(days=1), NOW, NOW + timedelta(seconds=1), NOW + timedelta(days=1)]
)
BOUNDS = st.sampled_from([None, None, "1.0.0", "1.3.0", "1.5.0+5", "9.0.0+9"])
NAMES = st.sampled_from(["1.0.0", "1.1.0", "1.2.0-beta.1", "1.2.0", "1.3", "spring"])


def _mostly(usual: object, *others: object) -> st.SearchStrategy[object]:
    """Draw the usual value three times out of four, so that catalogs do not consist of obstacles."""
    return st.one_of(st.just(usual), st.just(usual), st.just(usual), st.sampled_from(others))


releases = st.builds(
    Candidate,
    release_id=st.integers(1, 10**6),
    version_id=st.integers(1, 10**6),
    version=st.one_of(NAMES, st.none()),
    version_code=CODES,
    rollout=_mostly(10_000, 0, 1, 1_000, 5_000, 9_999),
    salt=st.sampled_from(["a", "b", "c"]),
    state=_mostly(ReleaseState.ACTIVE, *sorted(LIVE_STATES)),
    is_mandatory=_mostly(False, True),
    min_supported_version=BOUNDS,
    starts_at=MOMENTS,
    groups=_mostly(frozenset(), frozenset({1}), frozenset({1, 2})),
    mandatory_from=st.one_of(st.none(), MOMENTS),
    critical_from=BOUNDS,
    critical_below=BOUNDS,
    is_floor=_mostly(False, True),
    min_sdk=_mostly(None, 21, 28, 34),
    min_os=_mostly(None, "13", "15.4", "17.0"),
    abis=_mostly(frozenset(), frozenset({"arm64-v8a"}), frozenset({"arm64-v8a", "x86_64"})),
    refused_on=_mostly(frozenset(), frozenset({0, 1}), frozenset({0, 1, 2, 3})),
    channel=st.sampled_from(["stable", "beta"]),
).map(lambda c: c if c.version is not None else replace(c, version=f"1.{c.version_code}.0"))

arms = st.builds(
    lambda c, first, size: replace(c, is_arm=True, bucket_from=first, rollout=min(size, 10_000 - first)),
    releases,
    st.sampled_from([0, 2_500, 5_000, 9_999]),
    st.sampled_from([0, 2_500, 5_000]),
)
histories = st.lists(
    st.one_of(releases, releases, releases, arms), max_size=8, unique_by=lambda c: c.release_id
)
"""Releases of one app on one platform, on a channel and its fallbacks. A version can have two of them."""

currents = st.one_of(
    st.builds("1.{0}.0+{0}".format, CODES),
    st.builds("1.{}.0+{}".format, CODES, CODES),
    st.builds("1.{}.0".format, CODES),
    st.sampled_from(["1.2.0-beta.1", "1.2", "v1.3.0"]),
).map(parse_current_version)

queries = st.builds(
    UpdateQuery,
    current=currents,
    device_id=st.sampled_from([None, "", *(f"d{n}" for n in range(12))]),
    user_initiated=st.booleans(),
    groups=st.sampled_from([frozenset(), frozenset(), frozenset({1}), frozenset({2, 3})]),
    sdk=st.sampled_from([None, 20, 27, 33, 35]),
    os=st.sampled_from([None, *map(os_numbers, ("12.4", "15.4.1", "17", "18"))]),
    abis=st.sampled_from([frozenset(), frozenset({"arm64-v8a"}), frozenset({"x86"})]),
)
