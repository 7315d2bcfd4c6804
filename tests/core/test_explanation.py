"""An explained decision is the decision itself, and its sentences carry its facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ota.core.catalog import Candidate, Catalog
from ota.core.decision import NoUpdate, Offer, Reason, Rule, UpdateQuery, decide
from ota.core.explanation import MAX_RELEASES, ExplainLine, ExplainOutcome, Explanation, explain
from ota.core.lifecycle import ReleaseState
from ota.core.rollout import bucket
from ota.core.versions import parse_current_version
from tests.core.cases import NOW, histories, many, queries

NOTHING_NEWER = {Reason.UP_TO_DATE, Reason.AHEAD, Reason.NO_RELEASE, Reason.NOT_COMPARABLE}
PASSED, HELD_BACK, INFO = ExplainOutcome.PASSED, ExplainOutcome.HELD_BACK, ExplainOutcome.INFO


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


def ask(current: str, *found: Candidate, **more: object) -> Explanation:
    """Explain the decision for a device. Group 7 is named "testers"."""
    about: Any = {"device_id": "device-1", **more}
    query = UpdateQuery(parse_current_version(current), **about)
    return explain(query, Catalog.of(found), NOW, {7: "testers"})


def line_of(explained: Explanation, rule: Rule) -> ExplainLine:
    """Return the first line about a rule. Fails if there is none."""
    return next(line for line in explained.lines if line.rule is rule)


def outcome_of(explained: Explanation, rule: Rule) -> ExplainOutcome:
    return line_of(explained, rule).outcome


def assert_says(explained: Explanation, rule: Rule, *facts: str) -> None:
    """The line about the rule states these facts, in this order."""
    text, at = line_of(explained, rule).text, 0
    for fact in facts:
        assert fact in text[at:], text
        at = text.index(fact, at) + len(fact)


@many
@given(queries, histories, st.booleans())
def test_the_explained_decision_is_the_decision(
    query: UpdateQuery, found: Sequence[Candidate], is_shut_off: bool
) -> None:
    catalog = Catalog.of(found, is_shut_off=is_shut_off)
    explained = explain(query, catalog, NOW)
    assert explained.decision == decide(query, catalog, NOW)
    assert all(line.text.endswith(".") for line in explained.lines)
    assert explained.answer.endswith(".")


@many
@given(queries, histories, st.integers(0, 2))
def test_the_whole_catalog_explains_what_the_reduced_one_decides(
    query: UpdateQuery, found: Sequence[Candidate], later: int
) -> None:
    moment = NOW + timedelta(days=later)
    reduced = decide(query, Catalog.of(found, at=NOW), moment)
    assert explain(query, Catalog.of(found), moment).decision == reduced


@many
@given(queries, histories)
def test_the_answer_states_the_offer_and_each_obstacle_has_a_line(
    query: UpdateQuery, found: Sequence[Candidate]
) -> None:
    explained = explain(query, Catalog.of(found), NOW)
    decision = explained.decision
    if isinstance(decision, Offer):
        assert decision.candidate.version in explained.answer
        assert ("is mandatory" in explained.answer) == decision.is_mandatory
    elif decision.reason not in NOTHING_NEWER:
        assert HELD_BACK in [line.outcome for line in explained.lines]
    if isinstance(decision, NoUpdate) and decision.is_blocked:
        assert outcome_of(explained, Rule.BLOCKED) is HELD_BACK


def test_a_percentage_is_stated_with_the_number_of_the_device() -> None:
    partial = release(3, "1.2.0", rollout=1_000)
    number = bucket("salt-3", "device-1")
    assert number >= 1_000
    explained = ask("1.0.0+1", partial, release(2, "1.1.0"))
    assert outcome_of(explained, Rule.ROLLOUT) is HELD_BACK
    assert_says(
        explained, Rule.ROLLOUT, "1.2.0 (+3) on stable", "10 %", f"{number:,} of 10,000", "outside", "1,000"
    )
    assert "1.1.0 (+2) on stable" in explained.answer


def test_a_number_inside_and_the_arm_of_an_experiment() -> None:
    number = bucket("salt-3", "device-1")
    inside = ask("1.0.0+1", release(3, "1.2.0", rollout=number + 1))
    assert outcome_of(inside, Rule.ROLLOUT) is PASSED
    assert_says(inside, Rule.ROLLOUT, f"{number:,} of 10,000", "inside", f"below {number + 1:,}")
    arm = ask("1.0.0+1", release(3, "1.2.0", rollout=1_000, bucket_from=100, is_arm=True))
    assert_says(arm, Rule.ROLLOUT, "from 100 to below 1,100")


@pytest.mark.parametrize(
    ("state", "outcome", "fact"),
    [
        (ReleaseState.PAUSED, HELD_BACK, "paused"),
        (ReleaseState.HALTED, HELD_BACK, "halted"),
        (ReleaseState.ACTIVE, PASSED, "active"),
    ],
)
def test_states(state: ReleaseState, outcome: ExplainOutcome, fact: str) -> None:
    explained = ask("1.0.0+1", release(2, "1.1.0", state=state))
    assert outcome_of(explained, Rule.STATE) is outcome
    assert_says(explained, Rule.STATE, "1.1.0 (+2) on stable", fact)


def test_groups_and_user_initiated_checks() -> None:
    grouped = release(2, "1.1.0", rollout=0, groups=frozenset({7}))
    member = ask("1.0.0+1", grouped, groups=frozenset({7}))
    assert outcome_of(member, Rule.GROUP) is PASSED
    assert_says(member, Rule.GROUP, "testers")
    other = ask("1.0.0+1", grouped)
    assert outcome_of(other, Rule.ROLLOUT) is HELD_BACK
    assert_says(other, Rule.ROLLOUT, "0 %", "groups")
    by_user = ask("1.0.0+1", release(2, "1.1.0", rollout=1), user_initiated=True)
    assert outcome_of(by_user, Rule.USER_INITIATED) is PASSED
    assert_says(by_user, Rule.USER_INITIATED, "0.01 %")
    nameless = ask("1.0.0+1", release(2, "1.1.0", rollout=1), device_id=None)
    assert outcome_of(nameless, Rule.ROLLOUT) is HELD_BACK
    assert_says(nameless, Rule.ROLLOUT, "without an id")


def test_systems_and_processors() -> None:
    picky = release(2, "1.1.0", min_sdk=24, abis=frozenset({"x86"}))
    old = ask("1.0.0+1", picky, sdk=21)
    assert outcome_of(old, Rule.OS) is HELD_BACK
    assert_says(old, Rule.OS, "1.1.0 (+2) on stable", "Android 7.0 (API 24)", "Android 5.0 (API 21)")
    unknown = ask("1.0.0+1", picky)
    assert [outcome_of(unknown, rule) for rule in (Rule.OS, Rule.ABI)] == [PASSED, PASSED]
    other = ask("1.0.0+1", picky, sdk=30, abis=frozenset({"arm64-v8a"}))
    assert [outcome_of(other, rule) for rule in (Rule.OS, Rule.ABI)] == [PASSED, HELD_BACK]
    assert_says(other, Rule.ABI, "x86", "arm64-v8a")


def test_an_iphone_and_a_signer() -> None:
    phone = ask("1.0.0+1", release(2, "1.1.0", min_os="15.0"), os=(17, 2))
    assert outcome_of(phone, Rule.OS) is PASSED
    assert_says(phone, Rule.OS, "iOS 15.0", "iOS 17.2")
    foreign = ask("1.0.0+1", release(2, "1.1.0", refused_on=frozenset({1})))
    assert outcome_of(foreign, Rule.SIGNER) is HELD_BACK
    assert_says(foreign, Rule.SIGNER, "1.1.0 (+2) on stable", "1.0.0+1", "refuse")


def test_floors_that_are_open_and_closed() -> None:
    floor, newest = release(2, "1.1.0", is_floor=True), release(3, "1.2.0")
    through = ask("1.0.0+1", floor, newest)
    assert outcome_of(through, Rule.FLOOR) is INFO
    assert_says(through, Rule.FLOOR, "1.1.0 (+2) on stable", "floor", "first")
    closed = ask("1.0.0+1", replace(floor, state=ReleaseState.PAUSED), newest)
    assert outcome_of(closed, Rule.FLOOR) is HELD_BACK
    assert_says(closed, Rule.FLOOR, "floor", "paused")


def why_mandatory(**terms: object) -> Explanation:
    """Explain an offer of 1.2.0 that skips a release of 1.1.0 with these terms."""
    explained = ask("1.0.0+1", release(2, "1.1.0", **terms), release(3, "1.2.0"))
    assert isinstance(explained.decision, Offer)
    assert explained.decision.is_mandatory is bool(terms)
    return explained


def test_why_an_update_is_mandatory() -> None:
    skipped = "1.1.0 (+2) on stable"
    assert_says(why_mandatory(), Rule.MANDATORY, "1.2.0 (+3) on stable", "not mandatory")
    assert_says(why_mandatory(is_mandatory=True), Rule.MANDATORY, skipped, "mandatory version")
    late = why_mandatory(mandatory_from=NOW - timedelta(days=1))
    assert_says(late, Rule.MANDATORY, "deadline", skipped, "2025-12-31 00:00 UTC")
    critical = why_mandatory(critical_from="0.9.0", critical_below="1.1.0")
    assert_says(critical, Rule.MANDATORY, skipped, "from 0.9.0 to below 1.1.0", "1.0.0+1")
    minimum = ask("1.0.0+1", release(2, "1.1.0", min_supported_version="1.0.5"))
    assert_says(minimum, Rule.MANDATORY, "1.0.0+1", "below 1.0.5", skipped)


def test_a_blocked_device_and_the_release_that_demands_an_update() -> None:
    blocked = ask("1.0.0+1", release(2, "1.1.0", is_mandatory=True, state=ReleaseState.PAUSED))
    assert outcome_of(blocked, Rule.BLOCKED) is HELD_BACK
    assert_says(blocked, Rule.BLOCKED, "1.1.0 (+2) on stable", "mandatory version")
    assert "blocked" in blocked.answer


def test_a_withdrawn_version_and_a_scheduled_release() -> None:
    later = release(3, "1.2.0", starts_at=NOW + timedelta(hours=2))
    catalog = Catalog.of([later], withdrawn=[(1, "1.0.0")])
    explained = explain(UpdateQuery(parse_current_version("1.0.0+1")), catalog, NOW)
    assert outcome_of(explained, Rule.SCHEDULE) is HELD_BACK
    assert_says(explained, Rule.SCHEDULE, "1.2.0 (+3) on stable", "2026-01-01 02:00 UTC")
    assert outcome_of(explained, Rule.WITHDRAWN) is INFO
    assert_says(explained, Rule.WITHDRAWN, "1.0.0+1", "withdrawn")


def test_shut_off_is_the_only_line() -> None:
    catalog = Catalog.of([release(2, "1.1.0")], is_shut_off=True)
    explained = explain(UpdateQuery(parse_current_version("1.0.0+1")), catalog, NOW)
    assert [(line.rule, line.outcome) for line in explained.lines] == [(Rule.SHUT_OFF, HELD_BACK)]
    assert explained.decision == NoUpdate(Reason.SHUT_OFF)


def test_a_long_history_takes_few_lines() -> None:
    old = [release(code, f"1.0.{code}", state=ReleaseState.PAUSED) for code in range(1, 3_001)]
    behind = ask("0.1.0+0", *old)
    assert len(behind.lines) < 3 * MAX_RELEASES
    assert any(line.text.startswith(f"{3_000 - MAX_RELEASES:,} more") for line in behind.lines)
    ahead = ask("9.0.0+9000", *old).lines[-1]
    assert ahead.candidate is None
    assert ahead.text.startswith("3,000 releases")
    assert "9.0.0+9000" in ahead.text
    offered = ask("0.1.0+0", *old, release(4_000, "4.0.0")).lines[-1]
    assert (offered.rule, offered.outcome) == (Rule.NEWER, INFO)
    assert offered.text.startswith("3,000 older releases")


def test_the_answer_has_its_lines_after_a_long_history_too() -> None:
    old = [release(code, f"1.0.{code}", state=ReleaseState.PAUSED) for code in range(2, 3_001)]
    oldest = release(1, "1.0.1")
    explained = ask("0.1.0+0", *old, oldest)
    assert explained.decision == Offer(oldest, is_mandatory=False)
    assert (Rule.ROLLOUT, oldest) in [(line.rule, line.candidate) for line in explained.lines]
