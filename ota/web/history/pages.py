"""The history: who did what."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from ota.core.permissions import Access
from ota.db import reader
from ota.history import audit
from ota.web.access import page
from ota.web.frame import render_page, start_of_page
from ota.web.in_view import app_in_view

blueprint = Blueprint("admin_activity", __name__)

PAGE = 100


@blueprint.get("/apps/<slug>/activity")
@page(Access.VIEW)
def index(slug: str) -> ResponseReturnValue:
    """List the newest acts on an app."""
    app = app_in_view(slug)
    start = start_of_page()
    events = audit.history(reader(), app_id=app.id, limit=PAGE + 1, offset=start)
    return render_page(
        "history/activity.html",
        app=app,
        events=events[:PAGE],
        start=start,
        page_size=PAGE,
        has_more=len(events) > PAGE,
    )
