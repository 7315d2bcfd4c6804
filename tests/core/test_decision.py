"""Laws that every decision obeys, for every catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ota.core.catalog import Candidate, Catalog
from ota.core.decision import Decision, NoUpdate, Offer, Reason, UpdateQuery, decide, latest_for_everybody
from ota.core.lifecycle import ReleaseState
from ota.core.versions import compare_to_device, parse_current_version
from tests.core import oracle
from tests.core.cases import NOW, histories, many, queries

History = Sequence[Candidate]
LOWEST = -1


def decided(query: UpdateQuery, history: History) -> Decision:
    return decide(query, Catalog.of(history), NOW)


def code_of(decision: Decision) -> int:
    return decision.candidate.version_code if isinstance(decision, Offer) else LOWEST


@many
@given(queries, histories, st.booleans())
def test_every_decision_is_what_the_semantics_require(
    query: UpdateQuery, history: History, is_off: bool
) -> None:
    decision = decide(query, Catalog.of(history, is_shut_off=is_off), NOW)
    assert oracle.as_answer(decision) == oracle.answer(query, history, NOW, is_off)


@many
@given(queries, histories)
def test_tracing_never_changes_the_decision(query: UpdateQuery, history: History) -> None:
    assert decide(query, Catalog.of(history), NOW, []) == decided(query, history)


@many
@given(queries, histories)
def test_no_phone_refuses_what_it_is_offered(query: UpdateQuery, history: History) -> None:
    decision = decided(query, history)
    if not isinstance(decision, Offer):
        return
    offer = decision.candidate
    assert offer.state is ReleaseState.ACTIVE
    assert offer.starts_at is None or offer.starts_at <= NOW
    assert compare_to_device(offer.version_code, offer.version, query.current) == 1
    assert query.sdk is None or query.sdk >= (offer.min_sdk or 0)
    assert query.os is None or query.os >= offer.min_os_numbers
    assert not query.abis or not offer.abis or query.abis & offer.abis
    assert query.current.build not in offer.refused_on
    assert oracle.is_open_to(offer, query) or (offer.is_floor and offer.rollout > 0)


@many
@given(queries, histories)
def test_no_floor_is_jumped(query: UpdateQuery, history: History) -> None:
    decision = decided(query, history)
    for floor in history:
        if floor.is_floor and floor.has_started(NOW) and isinstance(decision, Offer):
            is_below = floor.version_code < decision.candidate.version_code
            assert not (is_below and oracle.is_newer(floor, query))


@many
@given(queries, histories)
def test_no_mandatory_release_is_dodged_by_skipping_it(query: UpdateQuery, history: History) -> None:
    decision = decided(query, history)
    if not isinstance(decision, Offer):
        return
    skipped = [
        c
        for c in history
        if c.is_mandatory and c.version_code <= decision.candidate.version_code and oracle.is_newer(c, query)
    ]
    started = [c for c in skipped if c.starts_at is None or c.starts_at <= NOW]
    assert decision.is_mandatory or not any(oracle.obstacle(c, query) is None for c in started)


@many
@given(queries, histories)
def test_a_newer_release_on_top_stays_mandatory(query: UpdateQuery, history: History) -> None:
    decision = decided(query, history)
    on_top = Candidate(
        release_id=2_000_000,
        version_id=2_000_000,
        version="99.0.0",
        version_code=99,
        rollout=10_000,
        salt="z",
    )
    later = decided(query, [*history, on_top])
    if (
        isinstance(decision, Offer)
        and decision.is_mandatory
        and decision.candidate.min_supported_version is None
    ):
        assert isinstance(later, Offer)
        assert later.is_mandatory


@many
@given(queries, histories, st.data())
def test_raising_a_rollout_never_takes_an_offer_away(
    query: UpdateQuery, history: History, data: st.DataObject
) -> None:
    raised = [replace(c, rollout=data.draw(st.integers(c.rollout, 10_000 - c.bucket_from))) for c in history]
    assert code_of(decided(query, raised)) >= code_of(decided(query, history))


@many
@given(queries, histories)
def test_a_user_initiated_check_never_offers_less(query: UpdateQuery, history: History) -> None:
    by_itself, by_user = (decided(query._replace(user_initiated=asked), history) for asked in (False, True))
    assert code_of(by_user) >= code_of(by_itself)


@many
@given(queries, histories)
def test_a_user_initiated_check_never_crosses_into_another_arm(query: UpdateQuery, history: History) -> None:
    arms = [c for c in history if c.is_arm and not c.is_floor]
    by_itself, by_user = (decided(query._replace(user_initiated=asked), arms) for asked in (False, True))
    assert by_itself == by_user


@many
@given(queries, histories)
def test_a_member_is_never_offered_less_than_others(query: UpdateQuery, history: History) -> None:
    outside, inside = (
        decided(query._replace(groups=groups), history) for groups in (frozenset[int](), frozenset({1, 2}))
    )
    assert code_of(inside) >= code_of(outside)


@many
@given(queries, histories)
def test_asking_again_gives_the_same_answer(query: UpdateQuery, history: History) -> None:
    assert decided(query, history) == decided(query, history)


@many
@given(queries, histories)
def test_the_order_in_which_releases_are_read_does_not_matter(query: UpdateQuery, history: History) -> None:
    assert decided(query, history) == decided(query, list(reversed(history)))


@many
@given(queries, histories)
def test_an_updated_device_is_not_sent_in_a_circle(query: UpdateQuery, history: History) -> None:
    """A device that installs every offer never goes down, and is offered nothing after some updates."""
    for _ in range(len(history) + 1):
        decision = decided(query, history)
        if not isinstance(decision, Offer):
            return
        offer = decision.candidate
        assert query.current.build is None or offer.version_code > query.current.build
        # A device that reports a name without an order is refused before a decision.
        name = offer.version if offer.version != "spring" else "1.0.0"
        query = query._replace(current=parse_current_version(f"{name}+{offer.version_code}"))
    raise AssertionError("more offers than releases")


@many
@given(queries, histories)
def test_a_device_gets_at_least_the_latest_release_for_everybody(
    query: UpdateQuery, history: History
) -> None:
    """A device without details and without a floor before it gets at least the latest release."""
    plain = UpdateQuery(query.current)
    without_floors = [replace(c, is_floor=False, refused_on=frozenset()) for c in history]
    full = latest_for_everybody(Catalog.of(without_floors), NOW)
    if full is not None and oracle.is_newer(full, plain):
        assert code_of(decided(plain, without_floors)) >= full.version_code


def test_of_two_releases_of_one_version_the_newer_one_decides() -> None:
    old = Candidate(
        release_id=1,
        version_id=1,
        version="1.0.0",
        version_code=1,
        rollout=10_000,
        salt="a",
        state=ReleaseState.PAUSED,
    )
    new = Candidate(release_id=2, version_id=1, version="1.0.0", version_code=1, rollout=10_000, salt="b")
    query = UpdateQuery(parse_current_version("0.1.0+0"))
    assert decided(query, [old, new]) == Offer(new, is_mandatory=False)


def test_an_empty_catalog_offers_nothing() -> None:
    query = UpdateQuery(parse_current_version("1.0.0+1"))
    assert decide(query, Catalog(()), NOW) == NoUpdate(Reason.NO_RELEASE)
    assert latest_for_everybody(Catalog(()), NOW) is None
