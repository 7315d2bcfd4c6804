"""Pages about an app's health policy, and about keeping data on single devices: forms of its settings."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ota.apps import apps, trust
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.errors import Conflict, OtaError
from ota.health import policy as health_policy
from ota.health.policy import Rules
from ota.models import App
from ota.web import staleness
from ota.web.access import actor, page
from ota.web.forms import seen_revision, show_error
from ota.web.frame import render_page
from ota.web.health.forms import PolicyForm
from ota.web.health.wording import meaning
from ota.web.in_view import app_in_view
from ota.web.staleness import StaleForm

blueprint = Blueprint("admin_health", __name__, url_prefix="/apps/<slug>")


@blueprint.route("/health-policy", methods=["GET", "POST"])
@page(Access.ADMIN)
def policy(slug: str) -> ResponseReturnValue:
    """Choose when a release is bad."""
    app = app_in_view(slug)
    form = PolicyForm.of(health_policy.rules_of(reader(), app.id))
    if not form.validate_on_submit():
        return _page(app, form), 422 if form.errors else 200
    revision, changes = seen_revision(form) or 0, form.changes()
    try:
        with transaction() as session:
            found = apps.find(session, slug)
            health_policy.change(session, actor(), found, changes, revision=revision, now=utcnow())
    except OtaError as error:
        return _refused(slug, form, error)
    flash("The health policy is changed.")
    return redirect(url_for("admin_health.policy", slug=slug), 303)


@blueprint.post("/keeping")
@page(Access.ADMIN)
def keeping(slug: str) -> ResponseReturnValue:
    """Keep data about single devices, or only counts."""
    keeps = request.form.get("keeps_nothing") != "y"
    revision = request.form.get("revision", 0, type=int)
    with transaction() as session:
        app = apps.find(session, slug)
        trust.keep_devices(session, actor(), app, keeps=keeps, revision=revision, now=utcnow())
    flash(
        "From now on devices are known by a keyed hash."
        if keeps
        else "From now on nothing is kept of single devices."
    )
    return redirect(url_for("admin_apps.settings", slug=slug), 303)


def _page(app: App, form: PolicyForm, stale: StaleForm | None = None) -> str:
    rules = health_policy.rules_of(reader(), app.id)
    return render_page(
        "health/health_policy.html",
        app=app,
        form=form,
        rules=rules,
        meaning=meaning(rules.policy.alpha),
        stale=stale,
    )


def _refused(slug: str, form: PolicyForm, error: OtaError) -> ResponseReturnValue:
    """The form again: with the error, or with what somebody else chose meanwhile."""
    reader().rollback()
    app = app_in_view(slug)
    if not isinstance(error, Conflict):
        show_error(form, error)
        return _page(app, form), 422
    stale = _stale(app)
    form.revision.data = str(stale.revision)
    return _page(app, form, stale), 409


def _stale(app: App) -> StaleForm:
    rules = health_policy.rules_of(reader(), app.id)
    acts = staleness.last_act(reader(), "app", app.id)
    return StaleForm(
        saw=None,
        now=_in_words(rules),
        revision=rules.revision,
        wanted="What you entered is below. Save it again to have it all the same.",
        since=[each for each in acts if each.action == "app.health_policy"],
    )


def _in_words(rules: Rules) -> str:
    chosen, hour = rules.policy, timedelta(hours=1)
    return (
        f"{rules.action.value.replace('_', ' ')}, {100 * chosen.alpha:g} % by chance, "
        f"{chosen.tolerated_ratio:g} times the control, {100 * chosen.acceptable_rate:g} % without one, "
        f"{chosen.window / hour:g} h, {chosen.min_failing_devices} failing devices, "
        f"plans wait for {rules.min_reports}, silence after {chosen.silence / hour:g} h"
    )
