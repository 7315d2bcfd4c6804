"""The app that the current page is about."""

from __future__ import annotations

from flask import g

from ota.apps import apps
from ota.db import reader
from ota.models import App


def app_in_view(slug: str) -> App:
    """Return the app of this page, which the frame then shows as chosen. Raises `NotFound`."""
    g.app_in_view = apps.find(reader(), slug)
    found: App = g.app_in_view
    return found
