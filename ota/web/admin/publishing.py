"""Publishing and its opposites. Each shows what would happen, then does it."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from ota.clock import utcnow
from ota.core.lifecycle import ReleaseState
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.errors import Conflict, NotFound, OtaError
from ota.models import App, Release, Version
from ota.services import apps, preflight, release_edits, release_rows, releases, uploads, versions
from ota.web.access import actor, page
from ota.web.admin.apps import app_in_view
from ota.web.admin.forms import ConfirmForm, PublishForm, RolloutForm, seen_revision, show_error
from ota.web.present import is_https
from ota.web.templating import render_page

blueprint = Blueprint("admin_publishing", __name__, url_prefix="/apps/<slug>")


@blueprint.route("/versions/<int:version_id>/publish", methods=["GET", "POST"])
@page(Access.PUBLISH)
def publish(slug: str, version_id: int) -> ResponseReturnValue:
    """Offer a version on a channel."""
    app = app_in_view(slug)
    version = versions.get(reader(), version_id, app=app)
    form = _publish_form(app, version)
    status = 200
    if form.validate_on_submit():
        try:
            return _publish(slug, version_id, form)
        except OtaError as error:
            show_error(form, error)
            status = 409 if isinstance(error, Conflict) else 422
            version = versions.get(reader(), version_id, app=app_in_view(slug))
    live = [release for release in release_rows.live(reader(), app) if release.platform == version.platform]
    status = 422 if form.errors and status == 200 else status
    channel = apps.find_channel(app, form.channel.data if form.channel.data in form.channel.choices else None)
    checks = preflight.examine(reader(), version, channel, is_https=is_https(), now=utcnow())
    context = {"app": app, "version": version, "form": form, "live": live, "checks": checks}
    return render_page("confirm.html", "partials/confirm_publish.html", what="publish", **context), status


@blueprint.route("/versions/<int:version_id>/withdraw", methods=["GET", "POST"])
@page(Access.PUBLISH)
def withdraw(slug: str, version_id: int) -> ResponseReturnValue:
    """Take a version out of all answers."""
    app = app_in_view(slug)
    version = versions.get(reader(), version_id, app=app)
    form = ConfirmForm(revision=version.revision)
    if not form.validate_on_submit():
        return render_page("confirm.html", "partials/confirm_withdraw.html", what="withdraw", app=app, version=version, form=form)
    with transaction() as session:
        found = versions.get(session, version_id, app=app)
        releases.withdraw_version(session, actor(), found, revision=seen_revision(form) or 0, now=utcnow())
    flash(f"Version {version.version} is withdrawn. Devices that have it keep it.")
    return redirect(url_for("admin_versions.show", slug=slug, version_id=version_id), 303)


@blueprint.route("/releases/<int:release_id>/rollback", methods=["GET", "POST"])
@page(Access.PUBLISH)
def roll_back(slug: str, release_id: int) -> ResponseReturnValue:
    """Take a release out of all answers and offer the one before it again."""
    release = _release(app_in_view(slug), release_id)
    form = ConfirmForm(revision=release.revision)
    if not form.validate_on_submit():
        successor = release_rows.successor(reader(), release, now=utcnow())
        context = {"app": release.version.app, "release": release, "successor": successor, "form": form}
        return render_page("confirm.html", "partials/confirm_rollback.html", what="roll back", **context)
    return _change(slug, release_id, form, ReleaseState.ROLLED_BACK, "is rolled back. Devices that have it keep it.")


@blueprint.post("/releases/<int:release_id>/pause")
@page(Access.PUBLISH)
def pause(slug: str, release_id: int) -> ResponseReturnValue:
    """No new offers until it is resumed."""
    return _change(slug, release_id, ConfirmForm(), ReleaseState.PAUSED, "is paused: no new offers until you resume it.")


@blueprint.post("/releases/<int:release_id>/resume")
@page(Access.PUBLISH)
def resume(slug: str, release_id: int) -> ResponseReturnValue:
    """Offer it again."""
    return _change(slug, release_id, ConfirmForm(), ReleaseState.ACTIVE, "is offered again.")


@blueprint.post("/releases/<int:release_id>/rollout")
@page(Access.PUBLISH)
def set_rollout(slug: str, release_id: int) -> ResponseReturnValue:
    """Open a release to more devices or fewer."""
    release, form = _release(app_in_view(slug), release_id), RolloutForm()
    address = url_for("admin_versions.show", slug=slug, version_id=release.version_id)
    if not form.validate_on_submit():
        flash(" ".join(sentence for sentences in form.errors.values() for sentence in sentences), "bad")
        return redirect(address, 303)
    with transaction() as session:
        found = release_rows.get(session, release_id)
        release_edits.set_rollout(session, actor(), found, int(form.rollout.data * 100), revision=seen_revision(form) or 0, now=utcnow())
    flash(f"Version {found.version.version} is now open to {form.rollout.data:g} % of the devices. Those that have it keep it.")
    return redirect(address, 303)


def _publish_form(app: App, version: Version) -> PublishForm:
    form = PublishForm(revision=version.revision, channel=uploads.proposed_channel(reader(), version.id))
    form.channel.choices = [channel.name for channel in app.channels]
    return form


def _publish(slug: str, version_id: int, form: PublishForm) -> ResponseReturnValue:
    with transaction() as session:
        version = versions.get(session, version_id, app=app_in_view(slug))
        releases.start(
            session, actor(), version, channel=form.channel.data, rollout=int(form.rollout.data * 100),
            revision=seen_revision(form) or 0, now=utcnow(),
        )  # fmt: skip
    whom = "everybody" if form.rollout.data == 100 else f"{form.rollout.data:g} % of the devices"
    flash(f"Version {version.version} is offered to {whom} on {form.channel.data}.")
    return redirect(url_for("admin_versions.index", slug=slug), 303)


def _change(slug: str, release_id: int, form: ConfirmForm, state: ReleaseState, done: str) -> ResponseReturnValue:
    with transaction() as session:
        release = _release(app_in_view(slug), release_id)
        releases.change_state(session, actor(), release, state, revision=seen_revision(form) or 0, now=utcnow())
    flash(f"Version {release.version.version} {done}")
    return redirect(url_for("admin_versions.show", slug=slug, version_id=release.version_id), 303)


def _release(app: App, release_id: int) -> Release:
    release = release_rows.get(reader(), release_id)
    if release.version.app_id != app.id:
        raise NotFound("unknown_release", f"{app.name} has no release with the id {release_id}.")
    return release
