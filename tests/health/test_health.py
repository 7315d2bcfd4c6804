"""A bad release is found and stopped, a good one goes on, and a person has the last word."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from ota.apps import apps
from ota.core.health_votes import Policy
from ota.core.lifecycle import HealthAction, ReleaseState
from ota.core.plans import PlanStep
from ota.db import reader, transaction
from ota.errors import Invalid, Stale
from ota.health import policy as health_policy
from ota.health.policy import Rules
from ota.history.audit import SYSTEM
from ota.models import AuditEvent, ReleaseDevice, ReleaseHealth
from ota.releases import acts as release_acts
from ota.releases import plans
from ota.releases import rows as release_rows
from ota.tasks import evaluate_health
from tests.health import given
from tests.releases.given import START, begin, hours, look, make

LATER = START + hours(8)
PLAN = (PlanStep(1_000, 60), PlanStep(10_000))


def fleet(
    release_id: int,
    *,
    rollout: tuple[int, int],
    control: tuple[int, int] = (0, 0),
    since: timedelta = timedelta(),
) -> None:
    """Add devices of a release and of its control: how many, and how many of them fail within four hours."""
    with transaction() as session:
        for is_control, (devices, failing) in ((False, rollout), (True, control)):
            for number in range(devices):
                at = START + since + timedelta(seconds=number)
                has_failed = bool(failing) and number % (devices // failing) == 1
                failed_at = at + timedelta(minutes=1 + number % 240) if has_failed else None
                session.add(
                    ReleaseDevice(
                        release_id=release_id,
                        device_id=f"{since.total_seconds():.0f}-{number}",
                        is_control=is_control,
                        version_code=1,
                        offered_at=at,
                        installed_at=at,
                        enrolled_at=at,
                        failed_at=failed_at,
                        crashed_at=failed_at,
                    )
                )


def evaluate(release_id: int, now: datetime = LATER) -> ReleaseHealth:
    return given.evaluate(release_id, now)


def choose(action: HealthAction = HealthAction.HALT, **changes: Any) -> None:
    min_reports = changes.pop("min_reports", 0)
    with transaction() as session:
        wanted = Rules(replace(Policy(), **changes), action, min_reports)
        health_policy.set_rules(session, SYSTEM, apps.find(session, None), wanted, now=START)


def acts() -> list[str]:
    reader().rollback()
    return list(
        reader().scalars(
            select(AuditEvent.action).where(AuditEvent.subject_type == "release").order_by(AuditEvent.id)
        )
    )


def test_a_bad_release_is_halted_with_its_numbers(in_app: Flask) -> None:
    release = begin(make(2), rollout=1_000)
    fleet(release, rollout=(300, 60), control=(3_000, 60))
    found = evaluate(release)
    assert (
        found.is_bad,
        found.test,
        found.failing_rollout,
        found.rollout,
        found.failing_control,
        found.control,
    ) == (
        True,
        "control",
        60,
        300,
        60,
        3_000,
    )
    halted = look(release)
    assert halted.state == ReleaseState.HALTED
    assert halted.reason is not None
    assert re.findall(r"[\d,]*\d", halted.reason) == ["60", "300", "60", "3,000", "1,000,000", "200"]
    assert acts()[-2:] == ["release.found_bad", "release.halted"]
    curves = {each["test"]: each["curve"] for each in found.tests}
    assert list(curves) == ["control"]
    assert len(curves["control"]) <= 201
    assert curves["control"][-1][3:5] == [60, 60]


def test_a_good_release_goes_on(in_app: Flask) -> None:
    release = begin(make(2), rollout=1_000)
    fleet(release, rollout=(300, 6), control=(3_000, 60))
    found = evaluate(release)
    assert (found.is_bad, look(release).state) == (False, ReleaseState.ACTIVE)
    assert found.evidence < found.threshold


def test_a_release_for_everybody_is_judged_by_the_acceptable_rate(in_app: Flask) -> None:
    bad, good = begin(make(2)), begin(make(3))
    fleet(bad, rollout=(500, 100))
    fleet(good, rollout=(500, 9))
    assert (evaluate(bad).test, evaluate(bad).is_bad, evaluate(good).is_bad) == ("alone", True, False)
    assert look(bad).state == ReleaseState.HALTED


def test_a_finding_that_only_notifies_is_reported_once(in_app: Flask) -> None:
    choose(HealthAction.NOTIFY)
    release = begin(make(2))
    fleet(release, rollout=(500, 100))
    for _ in range(3):
        assert evaluate(release).is_bad
    assert look(release).state == ReleaseState.ACTIVE
    assert acts().count("release.found_bad") == 1


def test_a_bad_release_is_rolled_back_if_the_policy_says_so(in_app: Flask) -> None:
    choose(HealthAction.ROLL_BACK)
    release = begin(make(2))
    fleet(release, rollout=(500, 100))
    evaluate(release)
    assert look(release).state == ReleaseState.ROLLED_BACK
    evaluate(release)
    assert acts().count("release.rolled_back") == 1


def test_a_person_resumes_and_a_new_test_begins(in_app: Flask) -> None:
    release = begin(make(2))
    fleet(release, rollout=(500, 100))
    evaluate(release)
    resumed = LATER + hours(1)
    with transaction() as session:
        release_acts.change_state(
            session, SYSTEM, release_rows.get(session, release), ReleaseState.ACTIVE, now=resumed
        )
    found = evaluate(release, resumed + hours(4))
    assert (found.is_bad, found.rollout, look(release).state) == (False, 0, ReleaseState.ACTIVE)
    fleet(release, rollout=(500, 100), since=hours(10))
    assert evaluate(release, START + hours(18)).is_bad
    assert look(release).state == ReleaseState.HALTED


def test_a_paused_release_is_evaluated_and_stays_paused(in_app: Flask) -> None:
    release = begin(make(2))
    fleet(release, rollout=(500, 100))
    with transaction() as session:
        release_acts.change_state(
            session, SYSTEM, release_rows.get(session, release), ReleaseState.PAUSED, now=LATER
        )
    assert evaluate(release).is_bad
    assert look(release).state == ReleaseState.PAUSED


def test_a_plan_waits_for_health_and_for_reports(in_app: Flask) -> None:
    choose(HealthAction.NOTIFY, min_reports=50)
    release = begin(make(2), plan=PLAN)

    def advance() -> int:
        with transaction() as session:
            plans.advance_if_due(session, release, now=LATER)
        return look(release).rollout

    assert advance() == 1_000
    assert "0 of 50 devices" in (plans.why_waiting(reader(), look(release), now=LATER) or "")
    fleet(release, rollout=(60, 30))
    evaluate(release)
    assert "bad" in (plans.why_waiting(reader(), look(release), now=LATER) or "")
    assert advance() == 1_000


def test_enough_good_reports_let_a_plan_go_on(in_app: Flask) -> None:
    choose(min_reports=50)
    release = begin(make(2), plan=PLAN)
    fleet(release, rollout=(60, 0))
    with transaction() as session:
        session.query(ReleaseDevice).update({"healthy_at": START + hours(1)})
    evaluate(release)
    with transaction() as session:
        plans.advance_if_due(session, release, now=LATER)
    assert look(release).rollout == 10_000


def test_the_task_evaluates_live_releases_and_can_run_twice(
    in_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ota.tasks.utcnow", lambda: LATER)
    bad, later, ended = begin(make(2)), begin(make(3), starts_at=START + hours(48)), begin(make(4))
    fleet(bad, rollout=(500, 100))
    fleet(ended, rollout=(500, 100))
    with transaction() as session:
        release_acts.change_state(
            session, SYSTEM, release_rows.get(session, ended), ReleaseState.WITHDRAWN, now=START
        )
    for _ in range(2):
        evaluate_health()
    reader().rollback()
    assert [row.release_id for row in reader().scalars(select(ReleaseHealth))] == [bad]
    assert look(bad).state == ReleaseState.HALTED
    assert look(later).state == ReleaseState.ACTIVE


def test_a_policy_is_stored_and_its_changes_are_in_the_history(in_app: Flask) -> None:
    choose(alpha=0.05, min_reports=10)
    found = health_policy.rules_of(reader(), 1)
    assert (found.policy.alpha, found.min_reports, found.revision) == (0.05, 10, 1)
    with transaction() as session, pytest.raises(Stale):
        health_policy.set_rules(
            session, SYSTEM, apps.find(session, None), Rules(Policy()), revision=0, now=START
        )
    with transaction() as session, pytest.raises(Invalid) as refused:
        health_policy.set_rules(
            session,
            SYSTEM,
            apps.find(session, None),
            Rules(replace(Policy(), window=timedelta(minutes=90))),
            now=START,
        )
    assert refused.value.code == "bad_policy"
    event = reader().scalars(select(AuditEvent).where(AuditEvent.action == "app.health_policy")).one()
    assert (event.before, event.after) == (
        {"alpha": 0.01, "min_reports": 0},
        {"alpha": 0.05, "min_reports": 10},
    )
