"""Releases: what is offered where, and one release with everything about it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader
from ota.devices import census, groups
from ota.models import App, Release
from ota.releases import rows as release_rows
from ota.web import staleness
from ota.web.access import page
from ota.web.forms import RolloutForm
from ota.web.frame import render_page
from ota.web.health import views as health_views
from ota.web.in_view import app_in_view
from ota.web.releases import board
from ota.web.releases.forms import Row, TermsForm, rows_of, typed
from ota.web.releases.views import list_page
from ota.web.staleness import StaleForm

blueprint = Blueprint("admin_releases", __name__, url_prefix="/apps/<slug>/releases")


@blueprint.get("")
@page(Access.VIEW)
def index(slug: str) -> ResponseReturnValue:
    """What is offered on each channel of each platform, to how many; and every release there ever was."""
    return list_page(app_in_view(slug))


@blueprint.get("/<int:release_id>")
@page(Access.VIEW)
def show(slug: str, release_id: int) -> ResponseReturnValue:
    """One release: how far it is open, its plan and terms, what was done to it."""
    app = app_in_view(slug)
    return release_page(app, release_rows.get(reader(), release_id, app=app))


def release_page(
    app: App,
    release: Release,
    *,
    rollout_form: RolloutForm | None = None,
    terms: TermsForm | None = None,
    rows: list[Row] | None = None,
    plan_wrong: str | None = None,
    problem: str | None = None,
    stale: StaleForm | None = None,
) -> str:
    """The page of one release, also with a form that came back."""
    now, session = utcnow(), reader()
    active, running = census.active(session, app, now=now), census.running(session, app, now=now)
    context: dict[str, Any] = {
        "line": board.line_of(session, release, active, running, now=now),
        "release": release,
        "version": release.version,
        "rollout_form": rollout_form
        or RolloutForm(formdata=None, rollout=release.rollout / 100, revision=release.revision),
        "terms": terms or terms_form(app, release),
        "rows": rows or rows_of(release),
        "plan_wrong": plan_wrong,
        "events": staleness.events_of(session, release),
        "problem": problem,
        "stale": stale,
        "successor": None,
        "monitoring": health_views.of(session, release),
    }
    context["others"] = [
        channel
        for channel in app.channels
        if release.is_live
        and release.experiment_id is None
        and release_rows.live_on(session, release.version, channel) is None
    ]
    if release.is_live or not release.version.is_active:
        context["successor"] = release_rows.successor(session, release, now=now)
    return render_page("releases/release.html", app=app, **context)


def terms_form(app: App, release: Release, *, is_sent: bool = False) -> TermsForm:
    """The form of a release's terms: as they are, or as they were sent."""
    given: dict[str, Any] = {} if is_sent else {"formdata": None}
    form = TermsForm(
        **given,
        starts_at=typed(release.starts_at),
        mandatory_from=typed(release.mandatory_from),
        critical_from=release.critical_from,
        critical_below=release.critical_below,
        groups=[group.name for group in release.groups],
        is_floor=release.is_floor,
        revision=release.revision,
    )
    form.groups.choices = groups_of(app)
    return form


def groups_of(app: App) -> list[str]:
    """The names of the app's device groups."""
    return [group.name for group in groups.of_app(reader(), app)]
