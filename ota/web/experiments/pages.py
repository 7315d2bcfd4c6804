"""Pages of experiments: versions compared on a channel, each on its share of the devices."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from ota import approvals
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.core.plans import needs_approval
from ota.core.rollout import FULL
from ota.db import reader, transaction
from ota.devices import census
from ota.errors import Conflict, OtaError, Stale
from ota.experiments import arms as experiment_arms
from ota.experiments import experiments
from ota.models import App, Experiment, Proposal
from ota.releases import rows as release_rows
from ota.web import staleness
from ota.web.access import actor, page
from ota.web.experiments import views as experiment_views
from ota.web.experiments.forms import ARMS, EndForm, ExperimentForm, end_form, experiment_form
from ota.web.forms import seen_revision, show_error
from ota.web.frame import render_page
from ota.web.in_view import app_in_view
from ota.web.staleness import StaleForm

blueprint = Blueprint("admin_experiments", __name__, url_prefix="/apps/<slug>/experiments")


@blueprint.get("")
@page(Access.VIEW)
def index(slug: str) -> ResponseReturnValue:
    """List the running and ended experiments."""
    app = app_in_view(slug)
    return render_page("experiments/experiments.html", app=app, experiments=experiments.listed(reader(), app))


@blueprint.route("/new", methods=["GET", "POST"])
@page(Access.PUBLISH)
def create(slug: str) -> ResponseReturnValue:
    """Start an experiment."""
    app = app_in_view(slug)
    form = experiment_form(app)
    if not form.validate_on_submit():
        return _form_page(app, form), 422 if form.errors else 200
    try:
        return _start(slug, form)
    except OtaError as error:
        reader().rollback()
        show_error(form, error)
        return _form_page(app_in_view(slug), form), 409 if isinstance(error, Conflict) else 422


@blueprint.get("/<int:experiment_id>")
@page(Access.VIEW)
def show(slug: str, experiment_id: int) -> ResponseReturnValue:
    """Show an experiment, its results, and the devices that run each arm."""
    app, now = app_in_view(slug), utcnow()
    experiment = experiments.get(reader(), experiment_id, app=app)
    return render_page(
        "experiments/experiment.html",
        app=app,
        experiment=experiment,
        running=census.running(reader(), app, now=now),
        active=census.active(reader(), app, now=now).get(experiment.platform, 0),
        results=experiment_views.of(reader(), experiment),
    )


@blueprint.route("/<int:experiment_id>/end", methods=["GET", "POST"])
@page(Access.PUBLISH)
def end(slug: str, experiment_id: int) -> ResponseReturnValue:
    """End an experiment with a winner or without.

    The dialog shows the effect of each choice on the devices.
    """
    app = app_in_view(slug)
    experiment = experiments.get(reader(), experiment_id, app=app)
    form = end_form(experiment)
    if not form.validate_on_submit():
        return _end_page(app, experiment, form), 422 if form.errors else 200
    try:
        return _end(slug, experiment_id, form)
    except OtaError as error:
        return _end_refused(slug, experiment_id, form, error)


def _form_page(app: App, form: ExperimentForm) -> str:
    can_start = len(experiment_arms.candidates(reader(), app)) > 1
    return render_page("experiments/experiment_new.html", app=app, form=form, arms=ARMS, can_start=can_start)


def _start(slug: str, form: ExperimentForm) -> ResponseReturnValue:
    draft = experiments.Draft(name=form.name.data, arms=form.arms(), channel=form.channel.data)
    now = utcnow()
    with transaction() as session:
        app_id = app_in_view(slug).id

        def act() -> Experiment:
            return experiments.start(session, actor(), app_id, draft, now=now)

        outcome = approvals.or_propose(session, actor(), act, now=now)
        session.flush()
        experiment_id = None if isinstance(outcome, Proposal) else outcome.id
    if experiment_id is None:
        flash(f"{draft.name} does not run yet: it waits until another person approves it.", "wait")
        return redirect(url_for("admin_releases.index", slug=slug), 303)
    flash(f"The experiment {draft.name} runs.")
    return redirect(url_for("admin_experiments.show", slug=slug, experiment_id=experiment_id), 303)


def _end(slug: str, experiment_id: int, form: EndForm) -> ResponseReturnValue:
    now, winner, revision = utcnow(), form.winner_version_id(), seen_revision(form) or 0
    with transaction() as session:
        experiment = experiments.get(session, experiment_id, app=app_in_view(slug))
        name = experiment.name

        def act() -> Experiment:
            return experiments.end(
                session, actor(), experiment, winner_version_id=winner, revision=revision, now=now
            )

        is_waiting = isinstance(approvals.or_propose(session, actor(), act, now=now), Proposal)
    if is_waiting:
        flash(f"{name} goes on for now: its end waits until another person approves it.", "wait")
        return redirect(url_for("admin_releases.index", slug=slug), 303)
    flash(f"The experiment {name} has ended.")
    return redirect(url_for("admin_experiments.show", slug=slug, experiment_id=experiment_id), 303)


def _end_refused(slug: str, experiment_id: int, form: EndForm, error: OtaError) -> ResponseReturnValue:
    reader().rollback()
    app = app_in_view(slug)
    experiment, stale = experiments.get(reader(), experiment_id, app=app), None
    if isinstance(error, Stale):
        stale = _stale(experiment)
        form.revision.data = str(experiment.revision)
    else:
        show_error(form, error)
    return _end_page(app, experiment, form, stale), 409 if isinstance(error, Conflict) else 422


def _end_page(app: App, experiment: Experiment, form: EndForm, stale: StaleForm | None = None) -> str:
    now, dialog = utcnow(), "experiments/_confirm_end.html"
    running = census.running(reader(), app, now=now)
    successor = release_rows.successor(reader(), experiment.arms[0], now=now) if experiment.arms else None
    return render_page(
        "frame/confirm.html",
        dialog,
        what="end the experiment",
        dialog=dialog,
        app=app,
        experiment=experiment,
        form=form,
        endings=experiment_arms.endings(experiment, running),
        on_arms=sum(experiment_arms.devices_on(arm, running) for arm in experiment.arms),
        successor=successor,
        stale=stale,
        needs_another=needs_approval(experiment.channel.approval_above, FULL),
        results=experiment_views.of(reader(), experiment),
    )


def _stale(experiment: Experiment) -> StaleForm:
    wanted = "What you chose is below. End it again to do it all the same."
    since = staleness.last_act(reader(), "experiment", experiment.id)
    return StaleForm(saw=None, now=experiment.state, revision=experiment.revision, wanted=wanted, since=since)
