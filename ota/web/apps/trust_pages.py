"""What an app lets in: forms of its settings page."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from ota.apps import apps, trust
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import transaction
from ota.web.access import actor, page
from ota.web.forms import TrustForm, seen_revision

blueprint = Blueprint("admin_trust", __name__, url_prefix="/apps/<slug>")


@blueprint.post("/trust")
@page(Access.ADMIN)
def allow(slug: str) -> ResponseReturnValue:
    """Make or end an exception."""
    form = TrustForm()
    with transaction() as session:
        app = apps.find(session, slug)
        trust.allow(
            session,
            actor(),
            app,
            v1_only=form.allows_v1_only.data,
            debuggable=form.allows_debuggable.data,
            external=form.allows_external.data,
            revision=seen_revision(form) or 0,
            now=utcnow(),
        )
    flash("What may be published is changed.")
    return redirect(url_for("admin_apps.settings", slug=slug), 303)


@blueprint.post("/signer/<platform>/forget")
@page(Access.ADMIN)
def forget_signer(slug: str, platform: str) -> ResponseReturnValue:
    """Let the next published build say who signs."""
    with transaction() as session:
        app = apps.find(session, slug)
        trust.forget_signer(session, actor(), app, apps.find_platform(platform), now=utcnow())
    flash("The signer is forgotten: the next published build pins its own.")
    return redirect(url_for("admin_apps.settings", slug=slug), 303)
