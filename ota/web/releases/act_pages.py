"""The verbs of a release. Each asks the service, and comes back with the page and both states where somebody was faster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from ota import approvals
from ota.clock import utcnow
from ota.core.lifecycle import ReleaseState
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.devices import devices
from ota.errors import Conflict, OtaError, Stale
from ota.health import policy as health_policy
from ota.models import Proposal, Release
from ota.releases import acts as release_acts
from ota.releases import edits as release_edits
from ota.releases import plans, previews, watch
from ota.releases import rows as release_rows
from ota.releases.edits import ReleaseEdit
from ota.web import staleness
from ota.web.access import actor, page
from ota.web.forms import ConfirmForm, RolloutForm, seen_revision, show_error, without_nul
from ota.web.frame import render_page
from ota.web.in_view import app_in_view
from ota.web.releases.forms import plan_sent, rows_sent
from ota.web.releases.pages import release_page, terms_form
from ota.web.staleness import StaleForm

blueprint = Blueprint("admin_release_acts", __name__, url_prefix="/apps/<slug>/releases/<int:release_id>")


@dataclass(frozen=True, slots=True)
class Act:
    """A verb: what is said when it is done, and what is asked when it came too late."""

    do: Callable[[Session, Release, int], Release]
    done: str
    question: str
    button: str


@blueprint.post("/pause")
@page(Access.PUBLISH)
def pause(slug: str, release_id: int) -> ResponseReturnValue:
    """No new offers until it is resumed."""
    done = "{} is paused: no new offers until you resume it."
    return _run(
        slug, release_id, Act(_to(ReleaseState.PAUSED), done, "Do you still want to pause it?", "Pause")
    )


@blueprint.route("/resume", methods=["GET", "POST"])
@page(Access.PUBLISH)
def resume(slug: str, release_id: int) -> ResponseReturnValue:
    """Offer it again; one that was halted after a look at why, and at how many will be offered it."""
    if request.method == "GET":
        return _confirm(slug, release_id, "resume", "releases/_confirm_resume.html")
    return _run(
        slug,
        release_id,
        Act(_to(ReleaseState.ACTIVE), "{} is offered again.", "Do you still want to resume it?", "Resume"),
    )


@blueprint.post("/test-anew")
@page(Access.PUBLISH)
def begin_anew(slug: str, release_id: int) -> ResponseReturnValue:
    """Let a release go on that was found bad and is not stopped."""

    def do(session: Session, release: Release, revision: int) -> Release:
        return watch.begin_new_test(session, actor(), release, revision=revision, now=utcnow())

    question = "Do you still want to begin a new test?"
    return _run(
        slug,
        release_id,
        Act(
            do,
            "A new test of {} has begun, with the devices that come from now on.",
            question,
            "Begin a new test",
        ),
    )


@blueprint.post("/advance")
@page(Access.PUBLISH)
def advance(slug: str, release_id: int) -> ResponseReturnValue:
    """Take the plan's next step before its soak has passed."""

    def do(session: Session, release: Release, revision: int) -> Release:
        return plans.advance(session, actor(), release, revision=revision, now=utcnow())

    question = "Do you still want to take its next step?"
    return _run(
        slug, release_id, Act(do, "{} has taken the next step of its plan.", question, "Take the next step")
    )


@blueprint.route("/rollback", methods=["GET", "POST"])
@page(Access.PUBLISH)
def roll_back(slug: str, release_id: int) -> ResponseReturnValue:
    """Take it out of all answers and offer the one before it again."""
    if request.method == "GET":
        return _confirm(slug, release_id, "roll back", "releases/_confirm_rollback.html")
    done = "{} is rolled back. Devices that have it keep it."
    return _run(
        slug,
        release_id,
        Act(_to(ReleaseState.ROLLED_BACK), done, "Do you still want to roll it back?", "Roll back"),
    )


@blueprint.route("/withdraw", methods=["GET", "POST"])
@page(Access.PUBLISH)
def withdraw(slug: str, release_id: int) -> ResponseReturnValue:
    """Take it out of all answers; the file answers 410 once nothing else offers it."""
    if request.method == "GET":
        return _confirm(slug, release_id, "withdraw the release", "releases/_confirm_release_withdraw.html")
    done = "{} is withdrawn. Devices that have it keep it."
    return _run(
        slug,
        release_id,
        Act(_to(ReleaseState.WITHDRAWN), done, "Do you still want to withdraw it?", "Withdraw"),
    )


@blueprint.post("/rollout")
@page(Access.PUBLISH)
def set_rollout(slug: str, release_id: int) -> ResponseReturnValue:
    """Open it to more devices or fewer."""
    form = RolloutForm()
    if not form.validate_on_submit():
        app = app_in_view(slug)
        return release_page(app, release_rows.get(reader(), release_id, app=app), rollout_form=form), 422
    rollout = int(form.rollout.data * 100)

    def do(session: Session, release: Release, revision: int) -> Release:
        return release_edits.set_rollout(session, actor(), release, rollout, revision=revision, now=utcnow())

    share = f"{rollout / 100:g} %"
    act = Act(
        do,
        f"{{}} is now open to {share} of the devices. Those that have it keep it.",
        f"Do you still want {share}?",
        f"Set {share}",
    )
    return _run(slug, release_id, act, form=form)


@blueprint.post("/plan")
@page(Access.PUBLISH)
def set_plan(slug: str, release_id: int) -> ResponseReturnValue:
    """Give it a plan, another one, or none."""
    is_end, rows = "end" in request.form, rows_sent()
    try:
        plan = () if is_end else plan_sent(rows)
    except OtaError as error:
        app = app_in_view(slug)
        wrong = error.sentence
        return release_page(
            app, release_rows.get(reader(), release_id, app=app), rows=rows, plan_wrong=wrong
        ), 422

    def do(session: Session, release: Release, revision: int) -> Release:
        return release_edits.edit(
            session, actor(), release, ReleaseEdit(plan=plan), revision=revision, now=utcnow()
        )

    done = (
        "{} follows no plan any more: it stays as far open as it is."
        if is_end
        else "{} follows its new plan from now on."
    )
    question = (
        "Do you still want to end its plan?"
        if is_end
        else "Do you still want to give it the plan that you typed?"
    )
    return _run(
        slug, release_id, Act(do, done, question, "End the plan" if is_end else "Follow my plan"), rows=rows
    )


@blueprint.post("/terms")
@page(Access.PUBLISH)
def set_terms(slug: str, release_id: int) -> ResponseReturnValue:
    """Change when it starts, for whom it is mandatory, which groups get it, whether it is a floor."""
    app = app_in_view(slug)
    present = release_rows.get(reader(), release_id, app=app)
    form = terms_form(app, present, is_sent=True)
    if not form.validate_on_submit():
        return release_page(app, present, terms=form), 422
    if form.changes(present) == ReleaseEdit():
        flash("Nothing was changed: the terms are as they were.")
        return redirect(url_for("admin_releases.show", slug=slug, release_id=release_id), 303)

    def do(session: Session, release: Release, revision: int) -> Release:
        return release_edits.edit(
            session, actor(), release, form.changes(release), revision=revision, now=utcnow()
        )

    return _run(slug, release_id, Act(do, "The terms of {} are changed.", "", ""), terms=form)


def _to(state: ReleaseState) -> Callable[[Session, Release, int], Release]:
    def do(session: Session, release: Release, revision: int) -> Release:
        return release_acts.change_state(
            session,
            actor(),
            release,
            state,
            revision=revision,
            reason=without_nul(request.form.get("reason")),
            now=utcnow(),
        )

    return do


def _run(slug: str, release_id: int, act: Act, **sent: Any) -> ResponseReturnValue:
    form, now = sent.get("terms") or sent.get("form") or ConfirmForm(), utcnow()
    revision = seen_revision(form)
    try:
        with transaction() as session:
            release = release_rows.get(session, release_id, app=app_in_view(slug))
            name = f"Version {release.version.version}"
            outcome = approvals.or_propose(
                session, actor(), lambda: act.do(session, release, revision or 0), now=now
            )
            is_waiting, summary = isinstance(outcome, Proposal), getattr(outcome, "summary", "")
    except OtaError as error:
        return _failed(slug, release_id, act, revision, error, **sent)
    if is_waiting:
        flash(f"Nothing is changed yet: it waits for another person. {summary}", "wait")
    else:
        flash(act.done.format(name))
    if request.form.get("from") == "list":
        return redirect(url_for("admin_releases.index", slug=slug), 303)
    return redirect(url_for("admin_releases.show", slug=slug, release_id=release_id), 303)


def _failed(
    slug: str, release_id: int, act: Act, revision: int | None, error: OtaError, **sent: Any
) -> ResponseReturnValue:
    reader().rollback()
    app = app_in_view(slug)
    release = release_rows.get(reader(), release_id, app=app)
    shown: dict[str, Any] = {}
    if isinstance(error, Stale):
        shown["stale"] = _stale(release, act, revision, **sent)
        if sent.get("terms"):
            sent["terms"].revision.data = str(
                release.revision
            )  # Sending it again is now a decision made with open eyes.
            shown["terms"] = sent["terms"]
        if sent.get("rows"):
            shown["rows"] = sent["rows"]
        return release_page(app, release, **shown), 409
    if sent.get("terms"):
        show_error(sent["terms"], error)
        shown["terms"] = sent["terms"]
    elif sent.get("rows"):
        shown |= {"rows": sent["rows"], "plan_wrong": error.sentence}
    elif sent.get("form") and error.field == "rollout":
        show_error(sent["form"], error)
        shown["rollout_form"] = sent["form"]
    else:
        shown["problem"] = error.message
    return release_page(app, release, **shown), 409 if isinstance(error, Conflict) else 422


def _stale(release: Release, act: Act, revision: int | None, **sent: Any) -> StaleForm:
    if sent.get("terms"):
        return staleness.stale_release(
            reader(),
            release,
            revision,
            wanted="What you typed is below. Save again to replace what is there now.",
        )
    left_out = {"csrf_token", "revision"}
    again = [(name, value) for name, value in request.form.items(multi=True) if name not in left_out]
    return staleness.stale_release(
        reader(),
        release,
        revision,
        action=request.path,
        question=act.question,
        button=act.button,
        again=again,
    )


def _confirm(slug: str, release_id: int, what: str, dialog: str) -> ResponseReturnValue:
    app, now, session = app_in_view(slug), utcnow(), reader()
    release = release_rows.get(session, release_id, app=app)
    context: dict[str, Any] = {"stranded": devices.stranded(session, release.version, now=now)}
    if what == "resume":
        context |= {
            "preview": previews.preview(session, release, now, is_resumed=True),
            "rules": health_policy.rules_of(session, app.id),
        }
    else:
        context["successor"] = release_rows.successor(session, release, now=now)
    return render_page(
        "frame/confirm.html",
        dialog,
        what=what,
        dialog=dialog,
        app=app,
        release=release,
        form=ConfirmForm(revision=release.revision),
        **context,
    )
