"""Laws that every decision keeps, whatever the catalog."""

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


def told(query: UpdateQuery, history: History) -> Decision:
    return decide(query, Catalog.of(history), NOW)


def code_of(decision: Decision) -> int:
    return decision.candidate.version_code if isinstance(decision, Offer) else LOWEST


@many
@given(queries, histories, st.booleans())
def test_every_answer_is_what_the_semantics_say(query: UpdateQuery, history: History, is_off: bool) -> None:
    decision = decide(query, Catalog.of(history, is_shut_off=is_off), NOW)
    assert oracle.as_answer(decision) == oracle.answer(query, history, NOW, is_off)


@many
@given(queries, histories)
def test_the_steps_that_are_shown_never_change_the_answer(query: UpdateQuery, history: History) -> None:
    assert decide(query, Catalog.of(history), NOW, []) == told(query, history)


@many
@given(queries, histories)
def test_no_phone_refuses_what_it_is_offered(query: UpdateQuery, history: History) -> None:
    decision = told(query, history)
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
    assert oracle.is_within_reach(offer, query) or (offer.is_floor and offer.rollout > 0)


@many
@given(queries, histories)
def test_no_floor_is_jumped(query: UpdateQuery, history: History) -> None:
    decision = told(query, history)
    for floor in history:
        if (
            floor.is_floor
            and (floor.starts_at is None or floor.starts_at <= NOW)
            and isinstance(decision, Offer)
        ):
            is_between = floor.version_code < decision.candidate.version_code and oracle.is_newer(
                floor, query
            )
            assert not is_between


@many
@given(queries, histories)
def test_no_mandatory_release_is_dodged_by_skipping_it(query: UpdateQuery, history: History) -> None:
    decision = told(query, history)
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
def test_what_is_put_on_top_stays_mandatory(query: UpdateQuery, history: History) -> None:
    decision = told(query, history)
    on_top = Candidate(
        release_id=2_000_000,
        version_id=2_000_000,
        version="99.0.0",
        version_code=99,
        rollout=10_000,
        salt="z",
    )
    later = told(query, [*history, on_top])
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
    assert code_of(told(query, raised)) >= code_of(told(query, history))


@many
@given(queries, histories)
def test_asking_by_hand_never_offers_less(query: UpdateQuery, history: History) -> None:
    by_itself, by_hand = (told(query._replace(user_initiated=asked), history) for asked in (False, True))
    assert code_of(by_hand) >= code_of(by_itself)


@many
@given(queries, histories)
def test_asking_by_hand_never_crosses_into_another_arm(query: UpdateQuery, history: History) -> None:
    arms = [c for c in history if c.is_arm and not c.is_floor]
    by_itself, by_hand = (told(query._replace(user_initiated=asked), arms) for asked in (False, True))
    assert by_itself == by_hand


@many
@given(queries, histories)
def test_a_member_is_never_offered_less_than_others(query: UpdateQuery, history: History) -> None:
    outside, inside = (
        told(query._replace(groups=groups), history) for groups in (frozenset[int](), frozenset({1, 2}))
    )
    assert code_of(inside) >= code_of(outside)


@many
@given(queries, histories)
def test_asking_again_gives_the_same_answer(query: UpdateQuery, history: History) -> None:
    assert told(query, history) == told(query, history)


@many
@given(queries, histories)
def test_the_order_in_which_releases_are_read_says_nothing(query: UpdateQuery, history: History) -> None:
    assert told(query, history) == told(query, list(reversed(history)))


@many
@given(queries, histories)
def test_an_updated_device_is_not_sent_in_a_circle(query: UpdateQuery, history: History) -> None:
    """It installs what it is offered until nothing is offered any more: never down, and never for ever."""
    for _ in range(len(history) + 1):
        decision = told(query, history)
        if not isinstance(decision, Offer):
            return
        offer = decision.candidate
        assert query.current.build is None or offer.version_code > query.current.build
        # What reports a name that nobody can read would be refused before it comes here.
        name = offer.version if offer.version != "spring" else "1.0.0"
        query = query._replace(current=parse_current_version(f"{name}+{offer.version_code}"))
    raise AssertionError("offered more often than there are releases")


@many
@given(queries, histories)
def test_what_everybody_gets_stands_in_the_catalog(query: UpdateQuery, history: History) -> None:
    """A device that tells nothing and has no floor before it gets at least what is shown as the latest."""
    plain = UpdateQuery(query.current)
    open_road = [replace(c, is_floor=False, refused_on=frozenset()) for c in history]
    full = latest_for_everybody(Catalog.of(open_road), NOW)
    if full is not None and oracle.is_newer(full, plain):
        assert code_of(told(plain, open_road)) >= full.version_code


def test_of_two_releases_of_one_version_the_newer_one_speaks() -> None:
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
    assert decide(UpdateQuery(parse_current_version("0.1.0+0")), Catalog.of([old, new]), NOW) == Offer(
        new, is_mandatory=False
    )


def test_an_empty_catalog_offers_nothing() -> None:
    assert decide(UpdateQuery(parse_current_version("1.0.0+1")), Catalog(()), NOW) == NoUpdate(
        Reason.NO_RELEASE
    )
    assert latest_for_everybody(Catalog(()), NOW) is None
