"""Publishing a version and withdrawing it. A dialog first shows the effect of each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from ota import approvals
from ota.apps import apps
from ota.builds import uploads, versions
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.core.plans import needs_approval
from ota.db import reader, transaction
from ota.devices import census, devices
from ota.errors import Conflict, OtaError, Stale
from ota.models import App, Proposal, Release, Version
from ota.releases import acts as release_acts
from ota.releases import preflight, repairs
from ota.releases import rows as release_rows
from ota.releases.terms import Terms
from ota.web import staleness
from ota.web.access import actor, page
from ota.web.forms import ConfirmForm, seen_revision, show_error
from ota.web.frame import render_page
from ota.web.in_view import app_in_view
from ota.web.releases.forms import OWN, PRESETS, PublishForm, as_utc, choices_in_query, groups_of
from ota.web.staleness import StaleForm
from ota.web.views import is_https

blueprint = Blueprint("admin_publishing", __name__, url_prefix="/apps/<slug>/versions/<int:version_id>")


@blueprint.route("/publish", methods=["GET", "POST"])
@page(Access.PUBLISH)
def publish(slug: str, version_id: int) -> ResponseReturnValue:
    """Offer a version on a channel.

    While it is filled in, the dialog reloads itself with the choices so far.
    """
    app = app_in_view(slug)
    version = versions.get(reader(), version_id, app=app)
    form = _publish_form(app, version)
    if form.validate_on_submit():
        try:
            return _publish(slug, version_id, form)
        except OtaError as error:
            return _publish_refused(slug, version_id, form, error)
    return _publish_page(app, version, form), 422 if form.errors and request.method == "POST" else 200


@blueprint.route("/withdraw", methods=["GET", "POST"])
@page(Access.PUBLISH)
def withdraw(slug: str, version_id: int) -> ResponseReturnValue:
    """Remove a version from all answers."""
    app = app_in_view(slug)
    version = versions.get(reader(), version_id, app=app)
    form = ConfirmForm(revision=version.revision)
    if not form.validate_on_submit():
        return _withdraw_page(app, version, form)
    try:
        _withdraw(app, version_id, seen_revision(form) or 0)
    except Conflict as error:
        return _withdraw_refused(slug, version_id, error)
    flash(f"Version {version.version} is withdrawn. Devices that have it keep it.")
    return redirect(url_for("admin_versions.show", slug=slug, version_id=version_id), 303)


def _publish_form(app: App, version: Version) -> PublishForm:
    proposed = request.args.get("channel") or uploads.proposed_channel(reader(), version.id)
    given = {"formdata": choices_in_query(), "meta": {"csrf": True}} if request.method == "GET" else {}
    form = PublishForm(**given, revision=version.revision, channel=proposed)
    if request.method == "GET":
        form.revision.data = version.revision
    form.channel.choices = [channel.name for channel in app.channels]
    form.groups.choices = groups_of(app)
    if request.method == "GET" and choices_in_query() is not None:
        form.validate()
    return form


def _publish_page(app: App, version: Version, form: PublishForm, stale: StaleForm | None = None) -> str:
    now, session = utcnow(), reader()
    channel = apps.find_channel(app, form.channel.data if form.channel.data in form.channel.choices else None)
    left = census.left_behind(session, version, now=now)
    optional = (form.starts_at.data, form.groups.data, form.starts_at.errors, form.groups.errors)
    context: dict[str, Any] = {
        "version": version,
        "form": form,
        "live": release_rows.offered_instead(session, version, channel, now=now),
        "channel": channel,
        "left": left[0] if left else None,
        "checks": preflight.examine(session, version, channel, is_https=is_https(), now=now),
        "stale": stale,
        "needs_another": needs_approval(channel.approval_above, form.final_rollout()),
        "is_advanced": any(optional),
    }
    dialog = "releases/_confirm_publish.html"
    return render_page("frame/confirm.html", dialog, what="publish", dialog=dialog, app=app, **context)


def _publish(slug: str, version_id: int, form: PublishForm) -> ResponseReturnValue:
    now = utcnow()
    with transaction() as session:
        version = versions.get(session, version_id, app=app_in_view(slug))
        name, terms = version.version, _terms(session, version, form, now)

        def act() -> Release:
            return release_acts.start(
                session,
                actor(),
                version,
                channel=form.channel.data,
                rollout=form.initial_rollout(),
                terms=terms,
                revision=seen_revision(form) or 0,
                now=now,
            )

        outcome = approvals.or_propose(session, actor(), act, now=now)
        session.flush()
        release_id = None if isinstance(outcome, Proposal) else outcome.id
    return _published(slug, name, form, release_id)


def _published(slug: str, name: str, form: PublishForm, release_id: int | None) -> ResponseReturnValue:
    if release_id is None:
        flash(f"{name} is not published yet: it waits until another person approves it.", "wait")
        return redirect(url_for("admin_releases.index", slug=slug), 303)
    flash(_done(name, form))
    if form.plan.data == OWN:
        return redirect(url_for("admin_releases.show", slug=slug, release_id=release_id, _anchor="plan"), 303)
    return redirect(url_for("admin_versions.index", slug=slug), 303)


def _publish_refused(slug: str, version_id: int, form: PublishForm, error: OtaError) -> ResponseReturnValue:
    app = app_in_view(slug)
    version, stale = versions.get(reader(), version_id, app=app), None
    if isinstance(error, Stale):
        stale = _stale(version, "What you chose is below. Publish again to do it all the same.")
        form.revision.data = str(version.revision)
    else:
        show_error(form, error)
    return _publish_page(app, version, form, stale), 409 if isinstance(error, Conflict) else 422


def _terms(session: Session, version: Version, form: PublishForm, now: datetime) -> Terms:
    bounds = repairs.repair_range(session, version, now=now) if form.repairs.data else (None, None)
    return Terms(
        starts_at=as_utc(form.starts_at.data),
        plan=PRESETS.get(form.plan.data, ()),
        groups=tuple(form.groups.data or ()),
        critical_from=bounds[0],
        critical_below=bounds[1],
    )


def _done(name: str, form: PublishForm) -> str:
    share = PRESETS[form.plan.data][0].rollout / 100 if form.plan.data in PRESETS else form.rollout.data
    audience = "everybody" if share == 100 else f"{share:g} % of the devices"
    if form.starts_at.data:
        start = f"{form.starts_at.data:%Y-%m-%d %H:%M} UTC"
        return f"Version {name} will be offered to {audience} on {form.channel.data} from {start}."
    then = ", and to more along its plan" if form.plan.data in PRESETS else ""
    return f"Version {name} is offered to {audience} on {form.channel.data}{then}."


def _withdraw(app: App, version_id: int, revision: int) -> None:
    with transaction() as session:
        version = versions.get(session, version_id, app=app)
        release_acts.withdraw_version(session, actor(), version, revision=revision, now=utcnow())


def _withdraw_page(app: App, version: Version, form: ConfirmForm, stale: StaleForm | None = None) -> str:
    now, session, dialog = utcnow(), reader(), "releases/_confirm_withdraw.html"
    context = {
        "version": version,
        "form": form,
        "stale": stale,
        "then": release_rows.successors(session, version, now=now),
        "stranded": devices.stranded(session, version, now=now),
    }
    return render_page("frame/confirm.html", dialog, what="withdraw", dialog=dialog, app=app, **context)


def _withdraw_refused(slug: str, version_id: int, error: Conflict) -> ResponseReturnValue:
    app = app_in_view(slug)
    version, stale = versions.get(reader(), version_id, app=app), None
    form = ConfirmForm(formdata=None, revision=version.revision)
    if isinstance(error, Stale):
        stale = _stale(version, "Deactivate again to do it all the same.")
    else:
        show_error(form, error)
    return _withdraw_page(app, version, form, stale), 409


def _stale(version: Version, wanted: str) -> StaleForm:
    state = "active" if version.is_active else "withdrawn" if version.withdrawn_at else "inactive"
    shown = f"{state}{', mandatory' if version.is_mandatory else ''}"
    return staleness.stale_version(reader(), version.id, revision=version.revision, now=shown, wanted=wanted)
