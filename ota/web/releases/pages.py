"""Pages of releases: what is offered where, and one release."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from flask.typing import ResponseReturnValue

from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader
from ota.devices import census
from ota.models import App, Release
from ota.releases import rows as release_rows
from ota.web import staleness
from ota.web.access import page
from ota.web.forms import RolloutForm
from ota.web.frame import render_page
from ota.web.health import views as health_views
from ota.web.in_view import app_in_view
from ota.web.releases import board
from ota.web.releases.forms import plan_rows_of, terms_form
from ota.web.releases.sent_forms import ShownForms
from ota.web.releases.views import list_page

blueprint = Blueprint("admin_releases", __name__, url_prefix="/apps/<slug>/releases")


@blueprint.get("")
@page(Access.VIEW)
def index(slug: str) -> ResponseReturnValue:
    """Show what each channel of each platform offers, to how many devices, and all releases so far."""
    return list_page(app_in_view(slug))


@blueprint.get("/<int:release_id>")
@page(Access.VIEW)
def show(slug: str, release_id: int) -> ResponseReturnValue:
    """Show one release: its rollout, plan, terms, health and history."""
    app = app_in_view(slug)
    return release_page(app, release_rows.get(reader(), release_id, app=app))


def release_page(app: App, release: Release, shown: ShownForms | None = None) -> str:
    """Return the page of a release, with fresh forms or with those that are shown again."""
    now, session, shown = utcnow(), reader(), shown or ShownForms()
    active, running = census.active(session, app, now=now), census.running(session, app, now=now)
    is_live_elsewhere = not release.is_live and release.version.is_active
    context: dict[str, Any] = {
        "line": board.line_of(session, release, active, running, now=now),
        "release": release,
        "version": release.version,
        "rollout_form": shown.rollout_form or _rollout_form(release),
        "terms": shown.terms or terms_form(app, release),
        "rows": shown.rows or plan_rows_of(release),
        "plan_wrong": shown.plan_wrong,
        "events": staleness.events_of(session, release),
        "problem": shown.problem,
        "stale": shown.stale,
        "successor": None if is_live_elsewhere else release_rows.successor(session, release, now=now),
        "monitoring": health_views.of(session, release),
        "others": release_rows.promotable_to(session, release),
    }
    return render_page("releases/release.html", app=app, **context)


def _rollout_form(release: Release) -> RolloutForm:
    return RolloutForm(formdata=None, rollout=release.rollout / 100, revision=release.revision)
