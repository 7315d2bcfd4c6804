"""Publishing a version and taking it back. Each shows what would happen, then does it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ota import approvals
from ota.apps import apps
from ota.builds import uploads, versions
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.core.plans import needs_approval
from ota.core.versions import parse_name
from ota.db import reader, transaction
from ota.devices import census, devices
from ota.devices.census import LeftBehind
from ota.errors import Conflict, OtaError, Stale
from ota.models import App, Proposal, Release, Version
from ota.releases import acts as release_acts
from ota.releases import preflight
from ota.releases import rows as release_rows
from ota.releases.terms import Terms
from ota.web import staleness
from ota.web.access import actor, page
from ota.web.forms import ConfirmForm, seen_revision, show_error
from ota.web.frame import render_page
from ota.web.in_view import app_in_view
from ota.web.releases.forms import OWN, PRESETS, PublishForm, aware, from_address
from ota.web.releases.pages import groups_of
from ota.web.staleness import StaleForm
from ota.web.views import is_https

blueprint = Blueprint("admin_publishing", __name__, url_prefix="/apps/<slug>/versions/<int:version_id>")


@blueprint.route("/publish", methods=["GET", "POST"])
@page(Access.PUBLISH)
def publish(slug: str, version_id: int) -> ResponseReturnValue:
    """Offer a version on a channel. While it is filled in, the form asks for itself with what was chosen so far."""
    app = app_in_view(slug)
    version = versions.get(reader(), version_id, app=app)
    form = _publish_form(app, version)
    status, stale = 200, None
    if form.validate_on_submit():
        try:
            return _publish(slug, version_id, form)
        except OtaError as error:
            status = 409 if isinstance(error, Conflict) else 422
            app = app_in_view(slug)
            version = versions.get(reader(), version_id, app=app)
            if isinstance(error, Stale):
                stale = _stale(version, "What you chose is below. Publish again to do it all the same.")
                form.revision.data = str(version.revision)
            else:
                show_error(form, error)
    elif request.method == "GET" and from_address() is not None:
        form.validate()
    status = 422 if form.errors and status == 200 and request.method == "POST" else status
    return _publish_page(app, version, form, stale), status


@blueprint.route("/withdraw", methods=["GET", "POST"])
@page(Access.PUBLISH)
def withdraw(slug: str, version_id: int) -> ResponseReturnValue:
    """Take a version out of all answers."""
    app = app_in_view(slug)
    version = versions.get(reader(), version_id, app=app)
    form = ConfirmForm(revision=version.revision)
    if not form.validate_on_submit():
        return _withdraw_page(app, version, form)
    try:
        with transaction() as session:
            found = versions.get(session, version_id, app=app)
            release_acts.withdraw_version(
                session, actor(), found, revision=seen_revision(form) or 0, now=utcnow()
            )
    except Conflict as error:
        app = app_in_view(slug)
        version = versions.get(reader(), version_id, app=app)
        fresh = ConfirmForm(formdata=None, revision=version.revision)
        stale = (
            _stale(version, "Deactivate again to do it all the same.") if isinstance(error, Stale) else None
        )
        if stale is None:
            show_error(fresh, error)
        return _withdraw_page(app, version, fresh, stale), 409
    flash(f"Version {version.version} is withdrawn. Devices that have it keep it.")
    return redirect(url_for("admin_versions.show", slug=slug, version_id=version_id), 303)


def _publish_form(app: App, version: Version) -> PublishForm:
    proposed = request.args.get("channel") or uploads.proposed_channel(reader(), version.id)
    given = {"formdata": from_address(), "meta": {"csrf": True}} if request.method == "GET" else {}
    form = PublishForm(**given, revision=version.revision, channel=proposed)
    if request.method == "GET":
        form.revision.data = version.revision
    form.channel.choices = [channel.name for channel in app.channels]
    form.groups.choices = groups_of(app)
    return form


def _publish_page(app: App, version: Version, form: PublishForm, stale: StaleForm | None) -> str:
    now, session = utcnow(), reader()
    channel = apps.find_channel(app, form.channel.data if form.channel.data in form.channel.choices else None)
    places = [
        each for each in release_rows.offered(session, app, now=now) if each.platform == version.platform
    ]
    on_channel = [
        each
        for each in places
        if each.channel_id == channel.id and each.version_id != version.id and each.starts_at <= now
    ]
    left = census.left_behind(session, version, now=now)
    context: dict[str, Any] = {
        "version": version,
        "form": form,
        "live": on_channel,
        "channel": channel,
        "left": left[0] if left else None,
        "checks": preflight.examine(session, version, channel, is_https=is_https(), now=now),
        "stale": stale,
        "needs_another": needs_approval(channel.approval_above, form.reach()),
        "is_advanced": bool(
            form.starts_at.data or form.groups.data or form.starts_at.errors or form.groups.errors
        ),
    }
    dialog = "releases/_confirm_publish.html"
    return render_page("frame/confirm.html", dialog, what="publish", dialog=dialog, app=app, **context)


def _publish(slug: str, version_id: int, form: PublishForm) -> ResponseReturnValue:
    now = utcnow()
    with transaction() as session:
        version = versions.get(session, version_id, app=app_in_view(slug))
        name, terms = version.version, _terms(form, census.left_behind(session, version, now=now))

        def act() -> Release:
            return release_acts.start(
                session,
                actor(),
                version,
                channel=form.channel.data,
                rollout=form.opened(),
                terms=terms,
                revision=seen_revision(form) or 0,
                now=now,
            )

        outcome = approvals.or_propose(session, actor(), act, now=now)
        session.flush()
        release_id = None if isinstance(outcome, Proposal) else outcome.id
    if release_id is None:
        flash(f"{name} is not published yet: it waits until another person approves it.", "wait")
        return redirect(url_for("admin_releases.index", slug=slug), 303)
    flash(_done(name, form))
    if form.plan.data == OWN:
        return redirect(url_for("admin_releases.show", slug=slug, release_id=release_id, _anchor="plan"), 303)
    return redirect(url_for("admin_versions.index", slug=slug), 303)


def _terms(form: PublishForm, left: list[LeftBehind]) -> Terms:
    critical = _only(left[0].version) if left and form.repairs.data else (None, None)
    return Terms(
        starts_at=aware(form.starts_at.data),
        plan=PRESETS.get(form.plan.data, ()),
        groups=tuple(form.groups.data or ()),
        critical_from=critical[0],
        critical_below=critical[1],
    )


def _only(version: Version) -> tuple[str, str]:
    """The bounds that hold for the devices on exactly this version: its code counts, its name is for people."""
    is_readable = (
        parse_name(version.version) is not None and "+" not in version.version and len(version.version) <= 30
    )
    name = version.version if is_readable else "0.0.0"
    return f"{name}+{version.version_code}", f"{name}+{version.version_code + 1}"


def _done(name: str, form: PublishForm) -> str:
    share = PRESETS[form.plan.data][0].rollout / 100 if form.plan.data in PRESETS else form.rollout.data
    whom = "everybody" if share == 100 else f"{share:g} % of the devices"
    if form.starts_at.data:
        return f"Version {name} will be offered to {whom} on {form.channel.data} from {form.starts_at.data:%Y-%m-%d %H:%M} UTC."
    then = ", and to more along its plan" if form.plan.data in PRESETS else ""
    return f"Version {name} is offered to {whom} on {form.channel.data}{then}."


def _withdraw_page(app: App, version: Version, form: ConfirmForm, stale: StaleForm | None = None) -> str:
    now, session, dialog = utcnow(), reader(), "releases/_confirm_withdraw.html"
    standing = [release for release in version.releases if release.is_live]
    then = [(release.channel.name, release_rows.successor(session, release, now=now)) for release in standing]
    context = {
        "version": version,
        "form": form,
        "stale": stale,
        "then": then,
        "stranded": devices.stranded(session, version, now=now),
    }
    return render_page("frame/confirm.html", dialog, what="withdraw", dialog=dialog, app=app, **context)


def _stale(version: Version, wanted: str) -> StaleForm:
    state = "active" if version.is_active else "withdrawn" if version.withdrawn_at else "inactive"
    shown = f"{state}{', mandatory' if version.is_mandatory else ''}"
    return staleness.stale_version(reader(), version.id, revision=version.revision, now=shown, wanted=wanted)
