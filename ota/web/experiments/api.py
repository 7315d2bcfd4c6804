"""Experiments by program: listing, starting, reading and ending them."""

from __future__ import annotations

from flask import Blueprint

from ota import approvals
from ota.apps import apps
from ota.clock import utcnow
from ota.core.experiments import Arm
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.experiments import experiments
from ota.models import Experiment, Proposal
from ota.web import views
from ota.web.access import actor
from ota.web.experiments import views as experiment_views
from ota.web.experiments.shapes import (
    EndRequest,
    ExperimentAnswer,
    ExperimentRequest,
    ExperimentsAnswer,
    ExperimentsQuery,
)
from ota.web.operation import MANAGING, Operation, act, operation

blueprint = Blueprint("manage_experiments", __name__)


@blueprint.get("/api/experiments")
@operation(
    Operation(
        access=Access.VIEW,
        summary="List experiments",
        operation_id="manage_approvals_index",
        tag=MANAGING,
        query=ExperimentsQuery,
        answer=ExperimentsAnswer,
    )
)
def index(query: ExperimentsQuery) -> ExperimentsAnswer:
    """Return the app's experiments, the newest first."""
    found = experiments.listed(reader(), apps.find(reader(), query.app))
    return ExperimentsAnswer(experiments=[experiment_views.experiment_view(each) for each in found])


@blueprint.post("/api/experiments")
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="Start an experiment",
        operation_id="manage_approvals_start",
        tag=MANAGING,
        body=ExperimentRequest,
        answer=ExperimentAnswer,
        status=201,
    )
)
def start(body: ExperimentRequest) -> tuple[ExperimentAnswer, int]:
    """Compare two or more versions of one platform on a channel, each on its share of the devices."""
    arms = tuple(Arm(arm.version_id, arm.weight) for arm in body.arms)
    draft, now = experiments.Draft(name=body.name, arms=arms, channel=body.channel), utcnow()
    with transaction() as session:
        app = apps.find(session, body.app)
        app_id = app.id
        outcome = approvals.or_propose(
            session, actor(), lambda: experiments.start(session, actor(), app_id, draft, now=now), now=now
        )
    return _answer(outcome, "The experiment runs.", 201)


@blueprint.get("/api/experiments/<int:experiment_id>")
@operation(
    Operation(
        access=Access.VIEW,
        summary="Look at an experiment",
        operation_id="manage_approvals_show",
        tag=MANAGING,
        answer=ExperimentAnswer,
    )
)
def show(experiment_id: int) -> ExperimentAnswer:
    """Return an experiment with its arms and the result of each, also after it has ended."""
    experiment = experiments.get(reader(), experiment_id)
    return ExperimentAnswer(
        experiment=experiment_views.experiment_view(experiment),
        message=f"The experiment is {experiment.state}.",
        results=experiment_views.views(reader(), experiment),
    )


@blueprint.post("/api/experiments/<int:experiment_id>/end")
@operation(
    act("End an experiment", operation_id="manage_approvals_end", body=EndRequest, answer=ExperimentAnswer)
)
def end(experiment_id: int, body: EndRequest) -> tuple[ExperimentAnswer, int]:
    """Remove the arms from all answers. The winner, if one is named, becomes the release for all devices."""
    now, winner, revision = utcnow(), body.winner_version_id, body.revision
    with transaction() as session:
        experiment = experiments.get(session, experiment_id)

        def act() -> Experiment:
            return experiments.end(
                session, actor(), experiment, winner_version_id=winner, revision=revision, now=now
            )

        outcome = approvals.or_propose(session, actor(), act, now=now)
    return _answer(outcome, "The experiment has ended.", 200)


def _answer(outcome: Experiment | Proposal, message: str, status: int) -> tuple[ExperimentAnswer, int]:
    if isinstance(outcome, Experiment):
        fresh = experiments.get(reader(), outcome.id)
        return ExperimentAnswer(experiment=experiment_views.experiment_view(fresh), message=message), status
    proposal = views.proposal_view(outcome)
    return ExperimentAnswer(experiment=None, message=views.waits(outcome), proposal=proposal), 202
