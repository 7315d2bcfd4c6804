"""A decision in words is the decision, and the words are true."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ota.core.catalog import Candidate, Catalog
from ota.core.decision import NoUpdate, Offer, Reason, Rule, UpdateQuery, decide
from ota.core.explanation import MOST, Explanation, Outcome, explain
from ota.core.lifecycle import LIVE_STATES, ReleaseState
from ota.core.rollout import bucket
from ota.core.versions import parse_current_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BOUNDS = st.sampled_from([None, "1.0.0", "3.0.0", "5.0.0+20"])

candidates = st.builds(
    Candidate,
    release_id=st.integers(1, 10**6),
    version_id=st.integers(1, 10**6),
    version=st.sampled_from(["1.0.0", "2.0.0", "3.1.0-beta.1", "9.0.0", "spring"]),
    version_code=st.integers(0, 50),
    rollout=st.sampled_from([0, 1, 1_000, 5_000, 9_999, 10_000]),
    salt=st.sampled_from(["a", "b", "c"]),
    state=st.sampled_from(sorted(LIVE_STATES)),
    is_mandatory=st.booleans(),
    min_supported_version=BOUNDS,
    starts_at=st.sampled_from([None, NOW - timedelta(days=1), NOW, NOW + timedelta(seconds=1)]),
    bucket_from=st.just(0),
    is_arm=st.booleans(),
    groups=st.sampled_from([frozenset(), frozenset({1}), frozenset({2, 3})]),
    mandatory_from=st.sampled_from([None, NOW - timedelta(days=1), NOW + timedelta(days=1)]),
    critical_from=BOUNDS,
    critical_below=BOUNDS,
    is_floor=st.booleans(),
    min_sdk=st.sampled_from([None, 21, 34]),
    min_os=st.sampled_from([None, "15.0"]),
    abis=st.sampled_from([frozenset(), frozenset({"arm64-v8a"}), frozenset({"x86"})]),
    refused_on=st.sampled_from([frozenset(), frozenset({1, 2, 3})]),
    channel=st.sampled_from(["stable", "beta"]),
)
releases = st.lists(candidates, max_size=8, unique_by=lambda c: c.release_id)
queries = st.builds(
    UpdateQuery,
    current=st.sampled_from(["1.0.0", "2.0.0", "0.9.0+0", "1.0.0+3", "2.0.0+20", "3.0.0+60"]).map(
        parse_current_version
    ),
    device_id=st.sampled_from([None, "d1", "d2", "d3"]),
    user_initiated=st.booleans(),
    groups=st.sampled_from([frozenset(), frozenset({1}), frozenset({3})]),
    sdk=st.sampled_from([None, 19, 34]),
    os=st.sampled_from([None, (14,), (17, 2)]),
    abis=st.sampled_from([frozenset(), frozenset({"arm64-v8a"})]),
)


def release(code: int, version: str, **more: object) -> Candidate:
    made = Candidate(
        release_id=code,
        version_id=code,
        version=version,
        version_code=code,
        rollout=10_000,
        salt=f"salt-{code}",
        channel="stable",
    )
    return replace(made, **more)  # type: ignore[arg-type]


def told(explained: Explanation, rule: Rule) -> str:
    """What is said about a rule; fails when nothing is."""
    return next(line.text for line in explained.lines if line.rule is rule)


def ask(current: str = "1.0.0+1", *found: Candidate, **more: object) -> Explanation:
    groups = {7: "testers"}
    query = UpdateQuery(parse_current_version(current), **{"device_id": "device-1", **more})  # type: ignore[arg-type]
    return explain(query, Catalog.of(found), NOW, groups)


@settings(deadline=None)
@given(queries, releases, st.booleans())
def test_what_is_explained_is_what_is_decided(
    query: UpdateQuery, found: list[Candidate], is_shut_off: bool
) -> None:
    catalog = Catalog.of(found, is_shut_off=is_shut_off)
    explained = explain(query, catalog, NOW)
    assert explained.decision == decide(query, catalog, NOW)
    assert all(line.text.endswith(".") for line in explained.lines)
    assert explained.answer.endswith(".")


@settings(deadline=None)
@given(queries, releases, st.integers(0, 2))
def test_the_whole_catalog_explains_what_the_reduced_one_answers(
    query: UpdateQuery, found: list[Candidate], later: int
) -> None:
    moment = NOW + timedelta(days=later)
    assert explain(query, Catalog.of(found), moment).decision == decide(
        query, Catalog.of(found, at=NOW), moment
    )


@settings(deadline=None)
@given(queries, releases)
def test_an_offer_is_the_last_word_and_each_obstacle_was_told(
    query: UpdateQuery, found: list[Candidate]
) -> None:
    explained = explain(query, Catalog.of(found), NOW)
    held_back = [line for line in explained.lines if line.outcome is Outcome.HELD_BACK]
    if isinstance(explained.decision, Offer):
        assert explained.decision.candidate.version in explained.answer
        assert ("is mandatory" in explained.answer) == explained.decision.is_mandatory
    elif explained.decision.reason not in {
        Reason.UP_TO_DATE,
        Reason.AHEAD,
        Reason.NO_RELEASE,
        Reason.NOT_COMPARABLE,
    }:
        assert held_back
    if isinstance(explained.decision, NoUpdate) and explained.decision.is_blocked:
        assert told(explained, Rule.BLOCKED).startswith("The device is blocked")


def test_a_percentage_is_told_with_the_devices_own_number() -> None:
    partial = release(3, "1.2.0", rollout=1_000)
    number = bucket("salt-3", "device-1")
    assert number >= 1_000
    explained = ask("1.0.0+1", partial, release(2, "1.1.0"))
    assert told(explained, Rule.ROLLOUT) == (
        f"1.2.0 (+3) on stable is open to 10 %: this device's number in it is {number:,} of 10,000, "
        "so it is outside (inside means below 1,000)."
    )
    assert explained.answer == "The device is offered 1.1.0 (+2) on stable; its user may postpone it."


def test_a_number_inside_and_the_arm_of_an_experiment() -> None:
    number = bucket("salt-3", "device-1")
    inside = ask("1.0.0+1", release(3, "1.2.0", rollout=number + 1))
    assert "so it is inside (inside means below" in told(inside, Rule.ROLLOUT)
    arm = ask("1.0.0+1", release(3, "1.2.0", rollout=1_000, bucket_from=100, is_arm=True))
    assert "inside means from 100 to below 1,100" in told(arm, Rule.ROLLOUT)


def test_states_groups_and_asking_by_hand() -> None:
    assert "paused by a person" in told(
        ask("1.0.0+1", release(2, "1.1.0", state=ReleaseState.PAUSED)), Rule.STATE
    )
    assert "numbers were bad" in told(
        ask("1.0.0+1", release(2, "1.1.0", state=ReleaseState.HALTED)), Rule.STATE
    )
    grouped = release(2, "1.1.0", rollout=0, groups=frozenset({7}))
    assert told(ask("1.0.0+1", grouped, groups=frozenset({7})), Rule.GROUP).endswith(
        "whatever its percentage: testers."
    )
    assert "the device is in none of them" in told(ask("1.0.0+1", grouped), Rule.ROLLOUT)
    assert "was pressed" in told(
        ask("1.0.0+1", release(2, "1.1.0", rollout=1), user_initiated=True), Rule.USER_INITIATED
    )
    assert "without an id" in told(
        ask("1.0.0+1", release(2, "1.1.0", rollout=1), device_id=None), Rule.ROLLOUT
    )


def test_what_a_device_is_made_of() -> None:
    picky = release(2, "1.1.0", min_sdk=24, abis=frozenset({"x86"}))
    old = ask("1.0.0+1", picky, sdk=21)
    assert (
        told(old, Rule.OS)
        == "1.1.0 (+2) on stable needs Android 7.0 (API 24); the device has Android 5.0 (API 21), which is too old."
    )
    assert "did not say" in told(ask("1.0.0+1", picky), Rule.OS)
    assert "none of it fits" in told(ask("1.0.0+1", picky, sdk=30, abis=frozenset({"arm64-v8a"})), Rule.ABI)
    phone = ask("1.0.0+1", release(2, "1.1.0", min_os="15.0"), os=(17, 2))
    assert "needs iOS 15.0; the device has iOS 17.2, which is enough" in told(phone, Rule.OS)
    assert "would refuse it" in told(
        ask("1.0.0+1", release(2, "1.1.0", refused_on=frozenset({1}))), Rule.SIGNER
    )


def test_floors_say_that_nobody_jumps_over_them() -> None:
    floor, newest = release(2, "1.1.0", is_floor=True), release(3, "1.2.0")
    through = ask("1.0.0+1", floor, newest)
    assert told(through, Rule.FLOOR).startswith(
        "1.1.0 (+2) on stable is a floor that no device jumps over: it is offered first"
    )
    closed = ask("1.0.0+1", replace(floor, state=ReleaseState.PAUSED), newest)
    assert "what is newer is paused): the device is held below the floor" in told(closed, Rule.FLOOR)


def test_why_an_update_is_mandatory() -> None:
    def why(**more: object) -> str:
        return told(ask("1.0.0+1", release(2, "1.1.0", **more), release(3, "1.2.0")), Rule.MANDATORY)

    assert why() == "1.2.0 (+3) on stable is not mandatory: nothing on the way to it demands to be taken."
    assert "1.1.0 (+2) on stable is a mandatory version, and skipping it does not dodge it" in why(
        is_mandatory=True
    )
    assert "the deadline of 1.1.0 (+2) on stable was 2025-12-31 00:00 UTC" in why(
        mandatory_from=NOW - timedelta(days=1)
    )
    critical = why(critical_from="0.9.0", critical_below="1.1.0")
    assert "is mandatory for devices from 0.9.0 to below 1.1.0, and this one runs 1.0.0+1" in critical
    minimum = ask("1.0.0+1", release(2, "1.1.0", min_supported_version="1.0.5"))
    assert "the device runs 1.0.0+1, which is below 1.0.5, the minimum supported by 1.1.0 (+2)" in told(
        minimum, Rule.MANDATORY
    )


def test_a_blocked_device_is_told_so() -> None:
    blocked = ask("1.0.0+1", release(2, "1.1.0", is_mandatory=True, state=ReleaseState.PAUSED))
    assert told(blocked, Rule.BLOCKED).endswith(
        "1.1.0 (+2) on stable is a mandatory version, and skipping it does not dodge it."
    )
    assert "told that it is blocked" in blocked.answer


def test_a_withdrawn_version_and_a_release_to_come_are_mentioned() -> None:
    later = release(3, "1.2.0", starts_at=NOW + timedelta(hours=2))
    explained = explain(
        UpdateQuery(parse_current_version("1.0.0+1")), Catalog.of([later], withdrawn=[(1, "1.0.0")]), NOW
    )
    assert "starts at 2026-01-01 02:00 UTC" in told(explained, Rule.SCHEDULE)
    assert "was withdrawn" in told(explained, Rule.WITHDRAWN)


def test_shut_off_says_only_that() -> None:
    catalog = Catalog.of([release(2, "1.1.0")], is_shut_off=True)
    explained = explain(UpdateQuery(parse_current_version("1.0.0+1")), catalog, NOW)
    assert [line.outcome for line in explained.lines] == [Outcome.HELD_BACK]
    assert explained.answer == "The device is offered nothing: updates are switched off."


def test_a_long_history_takes_few_lines() -> None:
    old = [release(code, f"1.0.{code}", state=ReleaseState.PAUSED) for code in range(1, 3_001)]
    behind = ask("0.1.0+0", *old)
    assert len(behind.lines) < 3 * MOST
    assert any(
        f"{3_000 - MOST:,} more releases were looked at in the same way" in line.text for line in behind.lines
    )
    ahead = ask("9.0.0+9000", *old)
    assert "3,000 releases are not newer than 9.0.0+9000" in ahead.lines[-1].text
    offered = ask("0.1.0+0", *old, release(4_000, "4.0.0"))
    assert (
        offered.lines[-1].text == "3,000 older releases were not looked at: the question was answered before."
    )
    last = ask("0.1.0+0", *old[1:], release(1, "1.0.1"))
    assert last.decision == Offer(release(1, "1.0.1"), is_mandatory=False)
    assert "1.0.1 (+1) on stable is open to everybody." in [line.text for line in last.lines]
