"""The frame around every page: its content, and the choice between a whole page and a fragment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g, render_template, request, session
from flask_login import current_user

from ota import approvals
from ota.apps import apps, kill_switch
from ota.core.permissions import Access, Role, may
from ota.db import reader
from ota.models import App
from ota.web.views import public_url


def render_page(page: str, fragment: str | None = None, **context: Any) -> str:
    """Return the page, or only its fragment if HTMX requested that."""
    wants_fragment = (
        request.headers.get("HX-Request") == "true"
        and request.headers.get("HX-History-Restore-Request") != "true"
    )
    if fragment is not None and wants_fragment:
        return render_template(fragment, **context)
    return render_template(page, **context)


def start_of_page() -> int:
    """Return the offset of the requested page of a list, and 0 for an invalid one."""
    return min(max(0, request.args.get("start", 0, type=int)), 10**6)


def page_context() -> dict[str, Any]:
    """Return the variables of the frame, for every template."""
    if g.get("is_failing") or not current_user.is_authenticated:
        return {"can_publish": False, "is_admin": False, "all_apps": [], "current_app_": None}
    role, known = Role(current_user.role), apps.everything(reader())
    current = _current_app(known)
    return {
        "can_publish": may(role, Access.PUBLISH),
        "is_admin": may(role, Access.ADMIN),
        "all_apps": known,
        "current_app_": current,
        "channels_off": kill_switch.channels_off(reader(), current.id) if current else (),
        "waiting": len(approvals.listed(reader(), current, only_open=True)) if current else 0,
        "base_url": public_url(),
    }


def _current_app(known: Sequence[App]) -> App | None:
    # On pages without an app, the navigation stays with the app that was in view last.
    in_view: App | None = g.get("app_in_view")
    if in_view is not None:
        session["app"] = in_view.slug
        return in_view
    return next((app for app in known if app.slug == session.get("app")), None)
