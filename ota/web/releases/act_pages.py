"""Acts on a release by page. When the release has changed, the page comes back with both states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from ota import approvals
from ota.clock import utcnow
from ota.core.lifecycle import ReleaseState
from ota.core.permissions import Access
from ota.core.plans import Plan
from ota.db import reader, transaction
from ota.devices import devices
from ota.errors import Conflict, OtaError, Stale
from ota.health import policy as health_policy
from ota.models import App, Proposal, Release
from ota.releases import acts as release_acts
from ota.releases import edits as release_edits
from ota.releases import plans, previews, watch
from ota.releases import rows as release_rows
from ota.releases.edits import ReleaseEdit
from ota.web.access import actor, page
from ota.web.forms import ConfirmForm, RolloutForm, without_nul
from ota.web.frame import render_page
from ota.web.in_view import app_in_view
from ota.web.releases.forms import TermsForm, read_plan, sent_plan_rows, terms_form
from ota.web.releases.pages import release_page
from ota.web.releases.sent_forms import Act, SentForm, SentPlan, SentRollout, SentTerms, ShownForms

blueprint = Blueprint("admin_release_acts", __name__, url_prefix="/apps/<slug>/releases/<int:release_id>")


def _to(state: ReleaseState) -> Callable[[Session, Release, int], Release]:
    def do(session: Session, release: Release, revision: int) -> Release:
        reason = without_nul(request.form.get("reason"))
        return release_acts.change_state(
            session, actor(), release, state, revision=revision, reason=reason, now=utcnow()
        )

    return do


def _begin_new_test(session: Session, release: Release, revision: int) -> Release:
    return watch.begin_new_test(session, actor(), release, revision=revision, now=utcnow())


def _advance(session: Session, release: Release, revision: int) -> Release:
    return plans.advance(session, actor(), release, revision=revision, now=utcnow())


_PAUSE = Act(
    _to(ReleaseState.PAUSED),
    "{} is paused: no new offers until you resume it.",
    "Do you still want to pause it?",
    "Pause",
)
_RESUME = Act(_to(ReleaseState.ACTIVE), "{} is offered again.", "Do you still want to resume it?", "Resume")
_ROLL_BACK = Act(
    _to(ReleaseState.ROLLED_BACK),
    "{} is rolled back. Devices that have it keep it.",
    "Do you still want to roll it back?",
    "Roll back",
)
_WITHDRAW = Act(
    _to(ReleaseState.WITHDRAWN),
    "{} is withdrawn. Devices that have it keep it.",
    "Do you still want to withdraw it?",
    "Withdraw",
)
_NEW_TEST = Act(
    _begin_new_test,
    "A new test of {} has begun, with the devices that come from now on.",
    "Do you still want to begin a new test?",
    "Begin a new test",
)
_ADVANCE = Act(
    _advance,
    "{} has taken the next step of its plan.",
    "Do you still want to take its next step?",
    "Take the next step",
)


@blueprint.post("/pause")
@page(Access.PUBLISH)
def pause(slug: str, release_id: int) -> ResponseReturnValue:
    """Stop new offers until the release is resumed."""
    return _run(slug, release_id, _PAUSE, SentForm())


@blueprint.route("/resume", methods=["GET", "POST"])
@page(Access.PUBLISH)
def resume(slug: str, release_id: int) -> ResponseReturnValue:
    """Offer the release again.

    The dialog shows why it was halted, and how many devices would be offered it.
    """
    if request.method == "GET":
        return _confirm_resume(slug, release_id)
    return _run(slug, release_id, _RESUME, SentForm())


@blueprint.post("/test-anew")
@page(Access.PUBLISH)
def begin_anew(slug: str, release_id: int) -> ResponseReturnValue:
    """Let a release go on that was found bad and is not stopped."""
    return _run(slug, release_id, _NEW_TEST, SentForm())


@blueprint.post("/advance")
@page(Access.PUBLISH)
def advance(slug: str, release_id: int) -> ResponseReturnValue:
    """Take the plan's next step before its soak has passed."""
    return _run(slug, release_id, _ADVANCE, SentForm())


@blueprint.route("/rollback", methods=["GET", "POST"])
@page(Access.PUBLISH)
def roll_back(slug: str, release_id: int) -> ResponseReturnValue:
    """Remove the release from all answers, so that the previous one is offered again."""
    if request.method == "GET":
        return _confirm_end(slug, release_id, "roll back", "releases/_confirm_rollback.html")
    return _run(slug, release_id, _ROLL_BACK, SentForm())


@blueprint.route("/withdraw", methods=["GET", "POST"])
@page(Access.PUBLISH)
def withdraw(slug: str, release_id: int) -> ResponseReturnValue:
    """Remove the release from all answers.

    The file answers 410 once no live release of the version is left.
    """
    if request.method == "GET":
        dialog = "releases/_confirm_release_withdraw.html"
        return _confirm_end(slug, release_id, "withdraw the release", dialog)
    return _run(slug, release_id, _WITHDRAW, SentForm())


@blueprint.post("/rollout")
@page(Access.PUBLISH)
def set_rollout(slug: str, release_id: int) -> ResponseReturnValue:
    """Open the release to more devices or fewer."""
    form = RolloutForm()
    if not form.validate_on_submit():
        return _show(slug, release_id, ShownForms(rollout_form=form)), 422
    return _run(slug, release_id, _rollout_act(int(form.rollout.data * 100)), SentRollout(form))


@blueprint.post("/plan")
@page(Access.PUBLISH)
def set_plan(slug: str, release_id: int) -> ResponseReturnValue:
    """Give the release a plan or another plan, or end its plan."""
    sent = SentPlan(sent_plan_rows())
    try:
        plan = () if "end" in request.form else read_plan(sent.rows)
    except OtaError as error:
        return _show(slug, release_id, sent.with_error(error)), 422
    return _run(slug, release_id, _plan_act(plan), sent)


@blueprint.post("/terms")
@page(Access.PUBLISH)
def set_terms(slug: str, release_id: int) -> ResponseReturnValue:
    """Change the start, the deadline, the critical range, the groups, or whether it is a floor."""
    app = app_in_view(slug)
    present = release_rows.get(reader(), release_id, app=app)
    form = terms_form(app, present, is_sent=True)
    if not form.validate_on_submit():
        return release_page(app, present, ShownForms(terms=form)), 422
    if form.changes(present) == ReleaseEdit():
        flash("Nothing was changed: the terms are as they were.")
        return redirect(url_for("admin_releases.show", slug=slug, release_id=release_id), 303)
    return _run(slug, release_id, _terms_act(form), SentTerms(form))


def _rollout_act(rollout: int) -> Act:
    def do(session: Session, release: Release, revision: int) -> Release:
        return release_edits.set_rollout(session, actor(), release, rollout, revision=revision, now=utcnow())

    share = f"{rollout / 100:g} %"
    done = f"{{}} is now open to {share} of the devices. Those that have it keep it."
    return Act(do, done, f"Do you still want {share}?", f"Set {share}")


def _plan_act(plan: Plan) -> Act:
    do = _edit(lambda _: ReleaseEdit(plan=plan))
    if plan:
        question = "Do you still want to give it the plan that you typed?"
        return Act(do, "{} follows its new plan from now on.", question, "Follow my plan")
    done = "{} follows no plan any more: it stays as far open as it is."
    return Act(do, done, "Do you still want to end its plan?", "End the plan")


def _terms_act(form: TermsForm) -> Act:
    return Act(_edit(form.changes), "The terms of {} are changed.")


def _edit(changes_of: Callable[[Release], ReleaseEdit]) -> Callable[[Session, Release, int], Release]:
    def do(session: Session, release: Release, revision: int) -> Release:
        changes = changes_of(release)
        return release_edits.edit(session, actor(), release, changes, revision=revision, now=utcnow())

    return do


def _run(slug: str, release_id: int, act: Act, sent: SentForm) -> ResponseReturnValue:
    now = utcnow()
    try:
        with transaction() as session:
            release = release_rows.get(session, release_id, app=app_in_view(slug))
            name = f"Version {release.version.version}"
            outcome = approvals.or_propose(
                session, actor(), lambda: act.do(session, release, sent.revision or 0), now=now
            )
            waiting = outcome.summary if isinstance(outcome, Proposal) else None
    except OtaError as error:
        return _show_again(slug, release_id, act, sent, error)
    if waiting is not None:
        flash(f"Nothing is changed yet: it waits for another person. {waiting}", "wait")
    else:
        flash(act.done.format(name))
    if request.form.get("from") == "list":
        return redirect(url_for("admin_releases.index", slug=slug), 303)
    return redirect(url_for("admin_releases.show", slug=slug, release_id=release_id), 303)


def _show(slug: str, release_id: int, shown: ShownForms) -> str:
    app = app_in_view(slug)
    return release_page(app, release_rows.get(reader(), release_id, app=app), shown)


def _show_again(slug: str, release_id: int, act: Act, sent: SentForm, error: OtaError) -> ResponseReturnValue:
    reader().rollback()
    app = app_in_view(slug)
    release = release_rows.get(reader(), release_id, app=app)
    shown = sent.as_stale(release, act) if isinstance(error, Stale) else sent.with_error(error)
    return release_page(app, release, shown), 409 if isinstance(error, Conflict) else 422


def _confirm_resume(slug: str, release_id: int) -> str:
    app = app_in_view(slug)
    release = release_rows.get(reader(), release_id, app=app)
    preview = previews.preview(reader(), release, utcnow(), is_resumed=True)
    rules = health_policy.rules_of(reader(), app.id)
    dialog = "releases/_confirm_resume.html"
    return _dialog(app, release, "resume", dialog, preview=preview, rules=rules)


def _confirm_end(slug: str, release_id: int, what: str, dialog: str) -> str:
    app = app_in_view(slug)
    release = release_rows.get(reader(), release_id, app=app)
    successor = release_rows.successor(reader(), release, now=utcnow())
    return _dialog(app, release, what, dialog, successor=successor)


def _dialog(app: App, release: Release, what: str, dialog: str, **context: Any) -> str:
    return render_page(
        "frame/confirm.html",
        dialog,
        what=what,
        dialog=dialog,
        app=app,
        release=release,
        form=ConfirmForm(revision=release.revision),
        stranded=devices.stranded(reader(), release.version, now=utcnow()),
        **context,
    )
