"""The two-person rule: opening a release above the threshold needs another person, stopping it does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from ota import approvals
from ota.apps import apps, channels
from ota.apps.two_person import NeedsApproval
from ota.core.lifecycle import ProposalState, ReleaseState
from ota.core.permissions import Role
from ota.core.plans import PlanStep
from ota.db import reader, transaction
from ota.errors import Conflict, Forbidden, OtaError
from ota.experiments import experiments
from ota.history import audit
from ota.models import Proposal, Release, Version
from ota.releases import acts as release_acts
from ota.releases import edits as release_edits
from ota.releases.edits import ReleaseEdit
from ota.releases.terms import Terms
from tests.conftest import EMAILS, SECOND_PUBLISHER, Api
from tests.releases.given import START, begin, channel, hours, look, make, person

ANNA, BOB = EMAILS[Role.PUBLISHER], SECOND_PUBLISHER


def propose(version_id: int, who: str = ANNA, **options: Any) -> Proposal | Release:
    """Start a release as this person, or propose it."""
    with transaction() as session:
        actor, version = person(who), session.get_one(Version, version_id)
        terms = Terms(plan=options.pop("plan", ()))
        return approvals.or_propose(
            session,
            actor,
            lambda: release_acts.start(session, actor, version, terms=terms, **options, now=START),
            now=START,
        )


def approve(proposal_id: int, who: str = BOB) -> str:
    with transaction() as session:
        return approvals.approve(
            session, person(who), approvals.get(session, proposal_id), now=START + hours(1)
        )


def released() -> list[int]:
    reader().rollback()
    return [release.id for release in reader().query(Release).all()]


def test_up_to_the_threshold_one_person_is_enough(app: Flask) -> None:
    with app.app_context():
        channel("stable", approval_above=1_000)
        assert isinstance(propose(make(1), rollout=1_000), Release)


@pytest.mark.parametrize(
    "options",
    [{"rollout": 1_001}, {}, {"plan": (PlanStep(500, 60), PlanStep(10_000))}],
    ids=["rollout", "everybody", "plan"],
)
def test_above_it_nothing_happens_until_another_person_approves(app: Flask, options: dict[str, Any]) -> None:
    with app.app_context():
        channel("stable", approval_above=1_000)
        proposal = propose(make(1), **options)
        assert isinstance(proposal, Proposal)
        assert released() == []
        approve(proposal.id)
        release = look(released()[0])
        assert release.rollout == options.get("rollout", 500 if "plan" in options else 10_000)
        assert release.created_by == f"{ANNA}, approved by {BOB}"
        assert approvals.get(reader(), proposal.id).state == ProposalState.APPROVED


def test_the_service_itself_refuses_whoever_forgets_to_ask(app: Flask) -> None:
    with app.app_context():
        channel("stable", approval_above=0)
        version_id = make(1)
        with pytest.raises(NeedsApproval):
            begin(version_id, rollout=1)
        assert released() == []


def test_the_authors_own_approval_does_not_count(app: Flask) -> None:
    with app.app_context():
        channel("stable", approval_above=0)
        proposal = propose(make(1))
        with pytest.raises(Forbidden) as own:
            approve(proposal.id, ANNA)
        assert own.value.code == "own_proposal"
        assert released() == []


def test_of_a_hundred_clicks_by_author_and_others_one_counts_and_never_the_authors(app: Flask) -> None:
    with app.app_context():
        channel("stable", approval_above=0)
        proposal_id = propose(make(1)).id

    def click(number: int) -> str:
        with app.app_context():
            try:
                approve(proposal_id, ANNA if number % 2 else BOB)
            except OtaError as error:
                return error.code
            return "done"

    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(click, range(100)))
    assert codes.count("done") == 1
    assert set(codes[1::2]) <= {"own_proposal"}
    assert set(codes[0::2]) == {"done", "already_decided"}
    with app.app_context():
        assert len(released()) == 1
        assert approvals.get(reader(), proposal_id).decided_by == BOB


def test_raising_needs_it_and_lowering_pausing_and_rolling_back_do_not(app: Flask) -> None:
    with app.app_context():
        release_id = begin(make(1), rollout=5_000)
        channel("stable", approval_above=1_000)
        with pytest.raises(NeedsApproval), transaction() as session:
            release_edits.set_rollout(
                session, person(ANNA), session.get_one(Release, release_id), 6_000, now=START
            )
        with transaction() as session:
            release_edits.set_rollout(
                session, person(ANNA), session.get_one(Release, release_id), 4_000, now=START
            )
        for state in (ReleaseState.PAUSED, ReleaseState.ROLLED_BACK):
            with transaction() as session:
                release_acts.change_state(
                    session, person(ANNA), session.get_one(Release, release_id), state, now=START
                )
        assert look(release_id).state == "rolled_back"


def test_a_plan_for_a_standing_release_needs_it_too(app: Flask) -> None:
    with app.app_context():
        channel("stable", approval_above=1_000)
        release_id = begin(make(1), rollout=500)
        plan = (PlanStep(600, 60), PlanStep(10_000))
        with transaction() as session:
            actor, release = person(ANNA), session.get_one(Release, release_id)
            waits = approvals.or_propose(
                session,
                actor,
                lambda: release_edits.edit(session, actor, release, ReleaseEdit(plan=plan), now=START),
                now=START,
            )
        assert isinstance(waits, Proposal)
        assert look(release_id).plan is None
        approve(waits.id)
        assert (look(release_id).rollout, len(look(release_id).plan or ())) == (600, 2)


def test_an_approval_of_something_that_changed_meanwhile_does_nothing_and_stays_open(app: Flask) -> None:
    with app.app_context():
        channel("stable", approval_above=1_000)
        release_id = begin(make(1), rollout=500)
        with transaction() as session:
            actor, release = person(ANNA), session.get_one(Release, release_id)
            waits = approvals.or_propose(
                session,
                actor,
                lambda: release_edits.set_rollout(session, actor, release, 10_000, now=START),
                now=START,
            )
        with transaction() as session:
            release_acts.change_state(
                session, person(BOB), session.get_one(Release, release_id), ReleaseState.PAUSED, now=START
            )
        with pytest.raises(Conflict) as stale:
            approve(waits.id)
        assert stale.value.code == "stale_revision"
        assert approvals.get(reader(), waits.id).state == ProposalState.OPEN
        assert look(release_id).rollout == 500


def test_a_declined_proposal_is_never_done_and_the_author_can_take_theirs_back(app: Flask) -> None:
    with app.app_context():
        channel("stable", approval_above=0)
        one, two = propose(make(1)).id, propose(make(2)).id
        with transaction() as session:
            approvals.decline(session, person(BOB), approvals.get(session, one), now=START)
            approvals.decline(session, person(ANNA), approvals.get(session, two), now=START)
        assert [approvals.get(reader(), each).state for each in (one, two)] == ["declined", "withdrawn"]
        for each in (one, two):
            with pytest.raises(Conflict) as decided:
                approve(each)
            assert decided.value.code == "already_decided"
        assert released() == []
        actions = [
            event.action for event in audit.history(reader(), subjects=[("proposal", one), ("proposal", two)])
        ]
        assert sorted(actions) == [
            "proposal.declined",
            "proposal.proposed",
            "proposal.proposed",
            "proposal.taken_back",
        ]


def test_experiments_and_their_winners_need_it_as_everything_else(app: Flask) -> None:
    with app.app_context():
        channel("stable", approval_above=5_000)
        arms = tuple(experiments.Arm(make(code), 2_500) for code in (1, 2))
        with transaction() as session:
            found = experiments.start(
                session,
                person(ANNA),
                apps.find(session, None).id,
                experiments.Draft(name="Colours", arms=arms),
                now=START,
            )
        with pytest.raises(NeedsApproval), transaction() as session:
            experiments.end(
                session,
                person(ANNA),
                experiments.get(session, found.id),
                winner_version_id=arms[0].version_id,
                now=START,
            )
        with transaction() as session:
            actor, found = person(ANNA), experiments.get(session, found.id)
            waits = approvals.or_propose(
                session,
                actor,
                lambda: experiments.end(
                    session, actor, found, winner_version_id=arms[0].version_id, now=START
                ),
                now=START,
            )
        approve(waits.id)
        assert experiments.get(reader(), found.id).winner_version_id == arms[0].version_id


def test_over_http_the_answer_is_202_with_the_proposal(app: Flask, api: Api) -> None:
    with app.app_context():
        channel("stable", approval_above=0)
    made = api.version()
    waiting = api.post(f"/api/versions/{made['id']}/activate")
    assert (waiting.status_code, waiting.json["release"], waiting.json["proposal"]["state"]) == (
        202,
        None,
        "open",
    )
    assert api.check()["reason"] == "no_release"
    own = api.post(f"/api/proposals/{waiting.json['proposal']['id']}/approve")
    assert (own.status_code, own.json["code"]) == (403, "own_proposal")
    other = Api(app, Role.ADMIN)
    assert other.post(f"/api/proposals/{waiting.json['proposal']['id']}/approve").status_code == 200
    assert api.check()["version_code"] == made["version_code"]
    assert other.post(f"/api/proposals/{waiting.json['proposal']['id']}/approve").status_code == 409
    assert api.get("/api/proposals?open=true").json["proposals"] == []


def test_the_published_protocols_publish_waits_too_and_keeps_the_version(app: Flask, api: Api) -> None:
    with app.app_context():
        channel("stable", approval_above=0)
    body = {
        "version": "1.1.0",
        "version_code": 2,
        "platform": "android",
        "download_url": "https://files.example.com/a.apk",
        "checksum": "ab" * 32,
    }
    answer = api.post("/api/updates/publish", body)
    assert (answer.status_code, answer.json["version"]["is_active"]) == (202, False)
    assert (
        Api(app, Role.ADMIN).post(f"/api/proposals/{answer.json['proposal']['id']}/approve").status_code
        == 200
    )
    assert api.check()["version_code"] == 2


def test_loosening_the_rule_needs_approval_under_the_old_rule(app: Flask) -> None:
    boss = EMAILS[Role.ADMIN]
    with app.app_context():
        channel("open")
        stable = channel("stable", approval_above=1_000)

        def change(wanted: channels.ChannelEdit) -> object:
            with transaction() as session:
                actor, row = person(boss), channels.get(session, stable)
                return approvals.or_propose(
                    session, actor, lambda: channels.edit(session, actor, row, wanted, now=START), now=START
                )

        for looser in (
            channels.ChannelEdit((), None),
            channels.ChannelEdit((), 2_000),
            channels.ChannelEdit(("open",), 1_000),
        ):
            waits = change(looser)
            assert isinstance(waits, Proposal)
            assert channels.edit_of(channels.get(reader(), stable)) == channels.ChannelEdit((), 1_000)
            with pytest.raises(Forbidden):
                approve(waits.id, boss)
        assert not isinstance(change(channels.ChannelEdit((), 500)), Proposal)
        with pytest.raises(Conflict) as stale:  # The proposal is about the rule before the change.
            approve(waits.id)
        assert stale.value.code == "stale_revision"
        waits = change(channels.ChannelEdit((), None))
        assert isinstance(waits, Proposal)
        approve(waits.id)
        assert channels.edit_of(channels.get(reader(), stable)) == channels.ChannelEdit((), None)


def test_a_channel_with_a_rule_is_not_opened_through_one_that_it_follows(app: Flask) -> None:
    with app.app_context():
        channel("nightly")
        beta = channel("beta")
        channel("stable", falls_back_to="beta", approval_above=0)
        wanted = channels.ChannelEdit(("nightly",), None)
        with pytest.raises(NeedsApproval), transaction() as session:
            channels.edit(session, person(EMAILS[Role.ADMIN]), channels.get(session, beta), wanted, now=START)
