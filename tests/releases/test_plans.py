"""Plans: the scheduler takes each step once, after its soak, and only while the release is offered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from ota.core.lifecycle import ReleaseState
from ota.core.plans import PlanStep
from ota.db import reader, transaction
from ota.errors import Conflict, Invalid
from ota.history import audit
from ota.history.audit import SYSTEM
from ota.models import Release
from ota.releases import acts as release_acts
from ota.releases import edits as release_edits
from ota.releases import plans
from ota.releases.edits import ReleaseEdit
from tests.releases.given import START, begin, hours, look, make

PLAN = (PlanStep(1_000, 24 * 60), PlanStep(5_000, 24 * 60), PlanStep(10_000))


def tick(hour: float) -> list[int]:
    """Take the due steps some hours after the start. Return the ids of the releases that advanced."""
    now = START + hours(hour)
    moved = []
    for release_id in plans.due(reader(), now=now):
        with transaction() as session:
            if plans.advance_if_due(session, release_id, now=now) is not None:
                moved.append(release_id)
    return moved


def to(release_id: int, state: ReleaseState, hour: float) -> None:
    with transaction() as session:
        release_acts.change_state(
            session, SYSTEM, session.get_one(Release, release_id), state, now=START + hours(hour)
        )


def actions(release_id: int) -> list[str]:
    events = audit.history(reader(), subjects=[("release", release_id)])
    return [event.action for event in reversed(events)]


def test_a_plan_starts_at_its_first_step_and_goes_on_when_each_soak_has_passed(app: Flask) -> None:
    with app.app_context():
        release_id = begin(make(1), plan=PLAN)
        assert (look(release_id).rollout, look(release_id).next_step_at) == (1_000, START + hours(24))
        assert tick(23.9) == []
        assert tick(24) == [release_id]
        assert (look(release_id).rollout, look(release_id).plan_step) == (5_000, 1)
        assert tick(47.9) == []
        assert tick(48) == [release_id]
        assert (look(release_id).rollout, look(release_id).next_step_at) == (10_000, None)
        assert tick(1000) == []
        assert actions(release_id) == ["release.started", "release.plan_step", "release.plan_step"]


def test_a_late_scheduler_takes_one_step_and_soaks_again(app: Flask) -> None:
    with app.app_context():
        release_id = begin(make(1), plan=PLAN)
        assert tick(100) == [release_id]
        assert tick(100) == []
        assert (look(release_id).rollout, look(release_id).next_step_at) == (5_000, START + hours(124))


def test_schedulers_that_run_twice_at_once_take_one_step(app: Flask) -> None:
    with app.app_context():
        release_id = begin(make(1), plan=PLAN)

    def run(_: int) -> bool:
        with app.app_context(), transaction() as session:
            return plans.advance_if_due(session, release_id, now=START + hours(24)) is not None

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(run, range(8))) == [*[False] * 7, True]
    with app.app_context():
        assert (look(release_id).rollout, look(release_id).revision) == (5_000, 2)


@pytest.mark.parametrize("stop", [ReleaseState.PAUSED, ReleaseState.HALTED])
def test_the_soak_stands_still_while_the_release_is_stopped(app: Flask, stop: ReleaseState) -> None:
    with app.app_context():
        release_id = begin(make(1), plan=PLAN)
        to(release_id, stop, 20)
        assert tick(500) == []
        assert look(release_id).soak_left == 4 * 3600
        to(release_id, ReleaseState.ACTIVE, 500)
        assert look(release_id).next_step_at == START + hours(504)
        assert tick(503.9) == []
        assert tick(504) == [release_id]


def test_a_release_that_ended_takes_no_step(app: Flask) -> None:
    with app.app_context():
        release_id = begin(make(1), plan=PLAN)
        to(release_id, ReleaseState.ROLLED_BACK, 1)
        assert tick(500) == []
        assert look(release_id).rollout == 1_000


def test_a_scheduled_plan_soaks_from_its_start(app: Flask) -> None:
    with app.app_context():
        release_id = begin(make(1), plan=PLAN, starts_at=START + hours(10))
        assert look(release_id).next_step_at == START + hours(34)
        to(release_id, ReleaseState.PAUSED, 2)
        to(release_id, ReleaseState.ACTIVE, 3)
        assert look(release_id).next_step_at == START + hours(34)


def test_a_rollout_set_by_hand_ends_the_plan(app: Flask) -> None:
    with app.app_context():
        release_id = begin(make(1), plan=PLAN)
        with transaction() as session:
            release_edits.set_rollout(
                session, SYSTEM, session.get_one(Release, release_id), 2_500, now=START + hours(1)
            )
        found = look(release_id)
        assert (found.rollout, found.plan, found.next_step_at) == (2_500, None, None)
        assert tick(500) == []


def test_a_step_can_be_taken_before_its_time(app: Flask) -> None:
    with app.app_context():
        release_id = begin(make(1), plan=PLAN)
        with transaction() as session:
            plans.advance(session, SYSTEM, session.get_one(Release, release_id), now=START + hours(1))
        assert (look(release_id).rollout, look(release_id).next_step_at) == (5_000, START + hours(25))
        with transaction() as session:
            plans.advance(session, SYSTEM, session.get_one(Release, release_id), now=START + hours(2))
        with pytest.raises(Conflict) as none_left, transaction() as session:
            plans.advance(session, SYSTEM, session.get_one(Release, release_id), now=START + hours(3))
        assert none_left.value.code == "no_next_step"


def test_a_due_step_waits_while_the_version_could_not_be_published(app: Flask) -> None:
    with app.app_context():
        release_id = begin(make(1), plan=PLAN)
        with transaction() as session:
            session.get_one(Release, release_id).version.app.allows_external = False
        assert tick(30) == []
        assert "elsewhere" in (plans.why_waiting(reader(), look(release_id), now=START + hours(30)) or "")
        with transaction() as session:
            session.get_one(Release, release_id).version.app.allows_external = True
        assert tick(31) == [release_id]


def test_a_new_plan_begins_where_the_release_stands_or_higher(app: Flask) -> None:
    with app.app_context():
        release_id = begin(make(1), rollout=2_000)
        with pytest.raises(Invalid) as down, transaction() as session:
            release_edits.edit(
                session, SYSTEM, session.get_one(Release, release_id), ReleaseEdit(plan=PLAN), now=START
            )
        assert (down.value.code, "20 %" in down.value.message) == ("bad_plan", True)
        steps = (PlanStep(2_500, 60), PlanStep(9_000))
        with transaction() as session:
            release_edits.edit(
                session,
                SYSTEM,
                session.get_one(Release, release_id),
                ReleaseEdit(plan=steps),
                now=START + hours(1),
            )
        assert (look(release_id).rollout, look(release_id).next_step_at) == (2_500, START + hours(2))
        assert tick(2) == [release_id]
        assert (look(release_id).rollout, look(release_id).next_step_at) == (9_000, None)


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ((PlanStep(5_000, 60), PlanStep(1_000)), "from 50 % to 10 %"),
        ((PlanStep(1_000, 60), PlanStep(1_000)), "from 10 % to 10 %"),
        ((PlanStep(1_000, 0), PlanStep(10_000)), "for 0 minutes"),
        ((PlanStep(0, 60), PlanStep(10_000)), "to 0"),
        ((PlanStep(1_000, 60), PlanStep(10_001)), "to 10001"),
        ((PlanStep(1_000, 60),), "2 to 20 steps"),
        (tuple(PlanStep(number, 60) for number in range(1, 23)), "2 to 20 steps"),
        ((PlanStep(1_000, 200_000), PlanStep(10_000)), "for 200000 minutes"),
    ],
)
def test_a_plan_that_can_not_be_followed_is_refused_with_a_sentence(
    app: Flask, plan: tuple[PlanStep, ...], problem: str
) -> None:
    with app.app_context():
        version_id = make(1)
        with pytest.raises(Invalid) as refused:
            begin(version_id, plan=plan)
        assert refused.value.code == "bad_plan"
        assert problem in refused.value.message
