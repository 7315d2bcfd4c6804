"""Experiments: versions compared on a channel, each for its share of the devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.fields.simple import HiddenField
from wtforms.validators import InputRequired, Length, Optional

from ota import approvals
from ota.builds import versions
from ota.clock import utcnow
from ota.core.experiments import Arm
from ota.core.permissions import Access
from ota.core.platforms import Platform
from ota.core.rollout import FULL
from ota.db import reader, transaction
from ota.devices import census
from ota.errors import Conflict, OtaError, Stale
from ota.experiments import experiments
from ota.models import App, Experiment, Proposal, Release, Version
from ota.releases import rows as release_rows
from ota.web import staleness
from ota.web.access import actor, page
from ota.web.experiments import views as experiment_views
from ota.web.forms import Form, Percent, seen_revision, show_error
from ota.web.frame import render_page
from ota.web.in_view import app_in_view
from ota.web.staleness import StaleForm

blueprint = Blueprint("admin_experiments", __name__, url_prefix="/apps/<slug>/experiments")

ARMS = 4
_NOBODY = "0"


class ExperimentForm(Form):
    name = StringField("Name", [InputRequired("Give the experiment a name."), Length(max=80)])
    channel = SelectField("Channel")

    def validate(self, extra_validators: Mapping[str, Any] | None = None) -> bool:
        is_valid: bool = super().validate(extra_validators)
        for number in range(1, ARMS + 1):
            version, share = self[f"version_{number}"], self[f"percent_{number}"]
            is_share = share.data is not None and share.data.is_finite() and 0 < share.data <= 100
            if version.data and not is_share and not share.errors:
                share.errors, is_valid = ["Expected 0.01 to 100 percent."], False
        return is_valid


for _number in range(1, ARMS + 1):
    setattr(ExperimentForm, f"version_{_number}", SelectField(f"Version {_number}", [Optional()]))
    setattr(ExperimentForm, f"percent_{_number}", Percent(f"Percent {_number}", [Optional()]))


class EndForm(Form):
    winner = SelectField("Winner", default=_NOBODY)
    revision = HiddenField()


@dataclass(frozen=True, slots=True)
class Ending:
    """What becomes of the devices if this version wins (None: nobody wins): so many ``keep`` a newer losing build, so many on an
    older one are ``moved`` to the winner."""

    arm: Release | None
    keep: int
    moved: int


@blueprint.get("")
@page(Access.VIEW)
def index(slug: str) -> ResponseReturnValue:
    """The experiments that run, and those that have ended."""
    app = app_in_view(slug)
    return render_page("experiments/experiments.html", app=app, experiments=experiments.listed(reader(), app))


@blueprint.route("/new", methods=["GET", "POST"])
@page(Access.PUBLISH)
def create(slug: str) -> ResponseReturnValue:
    """Start one."""
    app = app_in_view(slug)
    form = _form(app)
    status = 200
    if form.validate_on_submit():
        try:
            return _start(slug, form)
        except OtaError as error:
            reader().rollback()
            app = app_in_view(slug)
            show_error(form, error)
            status = 409 if isinstance(error, Conflict) else 422
    status = 422 if form.errors and status == 200 else status
    return render_page(
        "experiments/experiment_new.html", app=app, form=form, arms=ARMS, can_start=len(_publishable(app)) > 1
    ), status


@blueprint.get("/<int:experiment_id>")
@page(Access.VIEW)
def show(slug: str, experiment_id: int) -> ResponseReturnValue:
    """One experiment: who gets what, and how many run it."""
    app = app_in_view(slug)
    experiment = experiments.get(reader(), experiment_id, app=app)
    running = census.running(reader(), app, now=utcnow())
    active = census.active(reader(), app, now=utcnow()).get(experiment.platform, 0)
    results = experiment_views.of(reader(), experiment)
    return render_page(
        "experiments/experiment.html",
        app=app,
        experiment=experiment,
        running=running,
        active=active,
        results=results,
    )


@blueprint.route("/<int:experiment_id>/end", methods=["GET", "POST"])
@page(Access.PUBLISH)
def end(slug: str, experiment_id: int) -> ResponseReturnValue:
    """End it, with a winner or without, after a look at what becomes of the devices."""
    app = app_in_view(slug)
    experiment = experiments.get(reader(), experiment_id, app=app)
    form = _end_form(experiment)
    if not form.validate_on_submit():
        return _end_page(app, experiment, form), 422 if form.errors else 200
    try:
        return _end(slug, experiment_id, form)
    except OtaError as error:
        reader().rollback()
        app = app_in_view(slug)
        experiment = experiments.get(reader(), experiment_id, app=app)
        stale = None
        if isinstance(error, Stale):
            stale = _stale(experiment)
            form.revision.data = str(experiment.revision)
        else:
            show_error(form, error)
        return _end_page(app, experiment, form, stale), 409 if isinstance(error, Conflict) else 422


def _form(app: App) -> ExperimentForm:
    form = ExperimentForm()
    form.channel.choices = [channel.name for channel in app.channels]
    choices = [SelectChoice("", "none")]
    for version in _publishable(app):
        choices.append(
            SelectChoice(
                str(version.id),
                f"{version.version} (+{version.version_code}), {Platform(version.platform).label}",
            )
        )
    for number in range(1, ARMS + 1):
        form[f"version_{number}"].choices = choices
    return form


def _publishable(app: App) -> Sequence[Version]:
    known = [version for version in versions.newest(reader(), app, limit=200) if version.checksum is not None]
    return sorted(known, key=lambda version: (version.platform, -version.version_code))


def _arms(form: ExperimentForm) -> tuple[Arm, ...]:
    found = []
    for number in range(1, ARMS + 1):
        version, share = form[f"version_{number}"].data, form[f"percent_{number}"].data
        if version:
            found.append(Arm(int(version), int(share * 100)))
    return tuple(found)


def _start(slug: str, form: ExperimentForm) -> ResponseReturnValue:
    draft, now = experiments.Draft(name=form.name.data, arms=_arms(form), channel=form.channel.data), utcnow()
    with transaction() as session:
        app_id = app_in_view(slug).id
        outcome = approvals.or_propose(
            session, actor(), lambda: experiments.start(session, actor(), app_id, draft, now=now), now=now
        )
        session.flush()
        experiment_id = None if isinstance(outcome, Proposal) else outcome.id
    if experiment_id is None:
        flash(f"{draft.name} does not run yet: it waits until another person approves it.", "wait")
        return redirect(url_for("admin_releases.index", slug=slug), 303)
    flash(f"The experiment {draft.name} runs.")
    return redirect(url_for("admin_experiments.show", slug=slug, experiment_id=experiment_id), 303)


def _end_form(experiment: Experiment) -> EndForm:
    form = EndForm(revision=experiment.revision)
    form.winner.choices = [
        SelectChoice(_NOBODY, "Nobody"),
        *(SelectChoice(str(arm.version_id), arm.version.version) for arm in experiment.arms),
    ]
    return form


def _end(slug: str, experiment_id: int, form: EndForm) -> ResponseReturnValue:
    now, winner = utcnow(), None if form.winner.data == _NOBODY else int(form.winner.data)
    with transaction() as session:
        experiment = experiments.get(session, experiment_id, app=app_in_view(slug))
        name, revision = experiment.name, seen_revision(form) or 0

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


def _end_page(app: App, experiment: Experiment, form: EndForm, stale: StaleForm | None = None) -> str:
    now, dialog = utcnow(), "experiments/_confirm_end.html"
    running = census.running(reader(), app, now=now)
    endings = [_ending(experiment, arm, running) for arm in experiment.arms]
    successor = release_rows.successor(reader(), experiment.arms[0], now=now) if experiment.arms else None
    above = experiment.channel.approval_above
    return render_page(
        "frame/confirm.html",
        dialog,
        what="end the experiment",
        dialog=dialog,
        app=app,
        experiment=experiment,
        form=form,
        endings=endings,
        on_arms=sum(running.get((arm.platform, arm.version.version_code), 0) for arm in experiment.arms),
        successor=successor,
        stale=stale,
        needs_another=above is not None and above < FULL,
        results=experiment_views.of(reader(), experiment),
    )


def _ending(experiment: Experiment, winner: Release, running: Mapping[tuple[str, int], int]) -> Ending:
    keep = moved = 0
    for arm in experiment.arms:
        number = running.get((arm.platform, arm.version.version_code), 0)
        if arm.version.version_code > winner.version.version_code:
            keep += number
        elif arm is not winner:
            moved += number
    return Ending(winner, keep, moved)


def _stale(experiment: Experiment) -> StaleForm:
    wanted = "What you chose is below. End it again to do it all the same."
    since = staleness.last_act(reader(), "experiment", experiment.id)
    return StaleForm(saw=None, now=experiment.state, revision=experiment.revision, wanted=wanted, since=since)
