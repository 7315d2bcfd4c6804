"""Forms of the settings page about what an app accepts."""

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
    """Set which exceptions the app allows."""
    form = TrustForm()
    with transaction() as session:
        trust.allow(
            session,
            actor(),
            apps.find(session, slug),
            v1_only=form.allows_v1_only.data,
            debuggable=form.allows_debuggable.data,
            external=form.allows_external.data,
            revision=seen_revision(form) or 0,
            now=utcnow(),
        )
    return _to_settings(slug, "What may be published is changed.")


@blueprint.post("/signer/<platform>/forget")
@page(Access.ADMIN)
def forget_signer(slug: str, platform: str) -> ResponseReturnValue:
    """Let the next published build pin its own signer."""
    with transaction() as session:
        app = apps.find(session, slug)
        trust.forget_signer(session, actor(), app, apps.find_platform(platform), now=utcnow())
    return _to_settings(slug, "The signer is forgotten: the next published build pins its own.")


def _to_settings(slug: str, message: str) -> ResponseReturnValue:
    flash(message)
    return redirect(url_for("admin_apps.settings", slug=slug), 303)
