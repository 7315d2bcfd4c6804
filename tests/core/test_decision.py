"""Laws that every decision keeps, whatever the catalog."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ota.core.catalog import Candidate, Catalog
from ota.core.decision import NoUpdate, Offer, Reason, UpdateQuery, decide, latest_for_everybody
from ota.core.lifecycle import LIVE_STATES, ReleaseState
from ota.core.versions import parse_current_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)

candidates = st.builds(
    Candidate,
    release_id=st.integers(1, 10**6),
    version_id=st.integers(1, 10**6),
    version=st.builds("{}.{}.{}".format, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)),
    version_code=st.integers(0, 50),
    rollout=st.sampled_from([0, 1, 1_000, 5_000, 9_999, 10_000]),
    salt=st.sampled_from(["a", "b", "c"]),
    state=st.sampled_from(sorted(LIVE_STATES)),
    is_mandatory=st.booleans(),
    min_supported_version=st.sampled_from([None, "1.0.0", "5.0.0+20"]),
    starts_at=st.sampled_from([None, NOW - timedelta(days=1), NOW, NOW + timedelta(seconds=1)]),
)
catalogs = st.lists(candidates, max_size=8, unique_by=lambda c: c.version_code).map(Catalog.of)
queries = st.builds(
    UpdateQuery,
    current=st.builds("1.0.0+{}".format, st.integers(0, 50)).map(parse_current_version),
    device_id=st.sampled_from([None, "d1", "d2", "d3"]),
    user_initiated=st.booleans(),
)


@given(queries, catalogs)
def test_an_offer_is_newer_started_active_and_open_to_the_device(query: UpdateQuery, catalog: Catalog) -> None:
    decision = decide(query, catalog, NOW)
    if isinstance(decision, Offer):
        assert query.current.build is not None
        assert decision.candidate.version_code > query.current.build
        assert decision.candidate.state is ReleaseState.ACTIVE
        assert decision.candidate.starts_at is None or decision.candidate.starts_at <= NOW
        assert decision.candidate.rollout > 0
        assert decision.reason is Reason.UPDATE_AVAILABLE
    else:
        assert decision.reason is not Reason.UPDATE_AVAILABLE


@given(queries, catalogs)
def test_asking_again_gives_the_same_answer(query: UpdateQuery, catalog: Catalog) -> None:
    assert decide(query, catalog, NOW) == decide(query, catalog, NOW)


@given(queries, catalogs)
def test_everybody_gets_at_least_the_latest_full_release(query: UpdateQuery, catalog: Catalog) -> None:
    full = latest_for_everybody(catalog, NOW)
    assert query.current.build is not None
    if full is not None and full.version_code > query.current.build:
        decision = decide(query, catalog, NOW)
        assert isinstance(decision, Offer)
        assert decision.candidate.version_code >= full.version_code


@given(queries, catalogs)
def test_a_mandatory_update_is_not_dodged_by_skipping_it(query: UpdateQuery, catalog: Catalog) -> None:
    decision = decide(query, catalog, NOW)
    if not isinstance(decision, Offer) or not decision.is_mandatory or decision.candidate.min_supported_version:
        return
    on_top = Candidate(release_id=2_000_000, version_id=2_000_000, version="99.0.0", version_code=99, rollout=10_000, salt="z")
    later = decide(query, Catalog.of([*catalog.candidates, on_top]), NOW)
    assert isinstance(later, Offer)
    assert later.is_mandatory


def test_of_two_releases_of_one_version_the_newer_one_speaks() -> None:
    old = Candidate(release_id=1, version_id=1, version="1.0.0", version_code=1, rollout=10_000, salt="a", state=ReleaseState.PAUSED)
    new = Candidate(release_id=2, version_id=1, version="1.0.0", version_code=1, rollout=10_000, salt="b")
    assert decide(UpdateQuery(parse_current_version("0.1.0+0")), Catalog.of([old, new]), NOW) == Offer(new, is_mandatory=False)


def test_an_empty_catalog_offers_nothing() -> None:
    assert decide(UpdateQuery(parse_current_version("1.0.0+1")), Catalog(()), NOW) == NoUpdate(Reason.NO_RELEASE)
    assert latest_for_everybody(Catalog(()), NOW) is None
