"""When a release of the app counts as bad, and whether anything is kept of single devices: forms of its settings page."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import HiddenField, IntegerField, SelectField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from ota.apps import apps, trust
from ota.clock import utcnow
from ota.core.lifecycle import HealthAction
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.errors import Conflict, OtaError
from ota.health import policy as health_policy
from ota.health.policy import Rules
from ota.models import App
from ota.web import staleness
from ota.web.access import actor, page
from ota.web.forms import Between, Form, Number, seen_revision, show_error
from ota.web.frame import render_page
from ota.web.health.api import changed, meaning
from ota.web.in_view import app_in_view
from ota.web.staleness import StaleForm

blueprint = Blueprint("admin_health", __name__, url_prefix="/apps/<slug>")

_NEEDED = InputRequired("Enter a number.")
_LEAST = Decimal("0.0001")
_ACTIONS = [
    SelectChoice(HealthAction.NOTIFY.value, "Only say so"),
    SelectChoice(HealthAction.HALT.value, "Halt it"),
    SelectChoice(HealthAction.ROLL_BACK.value, "Roll it back"),
]


class PolicyForm(Form):
    action = SelectField("When a release is bad", choices=_ACTIONS)
    alpha = Number(
        "So many percent of good releases may be called bad by chance",
        [_NEEDED, Between(_LEAST, 20, "Expected 0.0001 to 20 percent.")],
    )
    tolerated_ratio = Number(
        "With a control, failures are tolerated up to so many times its own",
        [_NEEDED, Between(1, 100, "Expected 1 to 100 times.")],
    )
    acceptable_rate = Number(
        "Without one, so many percent of the devices may fail",
        [_NEEDED, Between(_LEAST, 50, "Expected 0.0001 to 50 percent.")],
    )
    window_hours = IntegerField(
        "A failure counts within so many hours after installing",
        [_NEEDED, Between(1, 2160, "Expected 1 to 2160 hours.")],
    )
    min_failing_devices = IntegerField(
        "A release is bad only when so many devices have failed",
        [_NEEDED, Between(1, 1_000_000, "Expected 1 to 1000000 devices.")],
    )
    min_reports = IntegerField(
        "A plan waits until so many devices have reported",
        [_NEEDED, Between(0, 1_000_000, "Expected 0 to 1000000 devices.")],
    )
    silence_hours = IntegerField(
        "A device that normally calls has failed after so many silent hours",
        [_NEEDED, Between(0, 720, "Expected 0 to 720 hours.")],
    )
    revision = HiddenField()


@blueprint.route("/health-policy", methods=["GET", "POST"])
@page(Access.ADMIN)
def policy(slug: str) -> ResponseReturnValue:
    """Choose when a release counts as bad."""
    app = app_in_view(slug)
    form = _form(health_policy.rules_of(reader(), app.id))
    if not form.validate_on_submit():
        return _page(app, form), 422 if form.errors else 200
    try:
        with transaction() as session:
            found = apps.find(session, slug)
            wanted = changed(health_policy.rules_of(session, found.id), _values(form))
            health_policy.set_rules(
                session, actor(), found, wanted, revision=seen_revision(form) or 0, now=utcnow()
            )
    except OtaError as error:
        reader().rollback()
        stale = None
        app = app_in_view(slug)
        if isinstance(error, Conflict):
            stale = _stale(app)
            form.revision.data = str(stale.revision)
        else:
            show_error(form, error)
        return _page(app, form, stale), 409 if stale else 422
    flash("The health policy is changed.")
    return redirect(url_for("admin_health.policy", slug=slug), 303)


@blueprint.post("/keeping")
@page(Access.ADMIN)
def keeping(slug: str) -> ResponseReturnValue:
    """Keep something of single devices, or only counts."""
    with transaction() as session:
        keeps = request.form.get("keeps_nothing") != "y"
        trust.keep_devices(
            session,
            actor(),
            apps.find(session, slug),
            keeps=keeps,
            revision=request.form.get("revision", 0, type=int),
            now=utcnow(),
        )
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


def _form(rules: Rules) -> PolicyForm:
    chosen = rules.policy
    return PolicyForm(
        action=rules.action.value,
        alpha=_plain(100 * chosen.alpha),
        tolerated_ratio=_plain(chosen.tolerated_ratio),
        acceptable_rate=_plain(100 * chosen.acceptable_rate),
        window_hours=int(chosen.window / timedelta(hours=1)),
        min_failing_devices=chosen.min_failing_devices,
        min_reports=rules.min_reports,
        silence_hours=int(chosen.silence / timedelta(hours=1)),
        revision=rules.revision,
    )


def _plain(value: float) -> str:
    return f"{value:.12g}"


def _values(form: PolicyForm) -> dict[str, Any]:
    return {
        "action": HealthAction(form.action.data),
        "alpha": float(form.alpha.data / 100),
        "acceptable_rate": float(form.acceptable_rate.data / 100),
        "tolerated_ratio": float(form.tolerated_ratio.data),
        "window_hours": form.window_hours.data,
        "min_failing_devices": form.min_failing_devices.data,
        "min_reports": form.min_reports.data,
        "silence_hours": form.silence_hours.data,
    }


def _stale(app: App) -> StaleForm:
    rules = health_policy.rules_of(reader(), app.id)
    chosen = rules.policy
    now = (
        f"{rules.action.value.replace('_', ' ')}, {100 * chosen.alpha:g} % by chance, {chosen.tolerated_ratio:g} times the control, "
        f"{100 * chosen.acceptable_rate:g} % without one, {chosen.window / timedelta(hours=1):g} h, "
        f"{chosen.min_failing_devices} failing devices, plans wait for {rules.min_reports}, "
        f"silence after {chosen.silence / timedelta(hours=1):g} h"
    )
    since = [
        each for each in staleness.last_act(reader(), "app", app.id) if each.action == "app.health_policy"
    ]
    return StaleForm(
        saw=None,
        now=now,
        revision=rules.revision,
        wanted="What you entered is below. Save it again to have it all the same.",
        since=since,
    )
