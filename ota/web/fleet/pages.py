"""The fleet page: the versions that an app's devices run, their checks, and what fails on them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from ota.apps import apps
from ota.clock import utcnow
from ota.core.decision import Reason
from ota.core.permissions import Access
from ota.core.platforms import Platform
from ota.db import reader
from ota.fleet import figures
from ota.fleet.figures import FleetFigures
from ota.fleet.series import Series
from ota.models import App
from ota.web import charts
from ota.web.access import page
from ota.web.fleet.tables import csv_text
from ota.web.frame import render_page
from ota.web.health import views as health_views
from ota.web.in_view import app_in_view

blueprint = Blueprint("admin_fleet", __name__, url_prefix="/apps/<slug>")

PERIODS = {1: "24 h", 7: "7 d", 30: "30 d", 90: "90 d"}

_ADOPTION_DAYS = 7
"""Least number of days of adoption on the page, because it is counted by the day."""

_RUNNING = 12
"""Versions that the page lists with their devices."""


@blueprint.get("/fleet")
@page(Access.VIEW)
def show(slug: str) -> ResponseReturnValue:
    """Show the devices of one platform over a period."""
    app, now = app_in_view(slug), utcnow()
    found = _requested(app.id, now)
    return render_page(
        "fleet/fleet.html",
        app=app,
        fleet=found,
        periods=PERIODS,
        platforms=list(Platform),
        standing=health_views.offered_releases(reader(), app, found.platform, now=now),
        **_checks(found),
        **_versions(app, found, now),
    )


@blueprint.get("/fleet.csv")
@page(Access.VIEW)
def export(slug: str) -> Response:
    """Return the numbers of one chart for a spreadsheet."""
    found = _requested(app_in_view(slug).id, utcnow(), most_failures=None)
    chart = request.args.get("chart") or "adoption"
    text = csv_text(found, chart)
    name = f"{slug}-{chart}-{found.platform}-{found.days}d.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(text, mimetype="text/csv", headers=headers)


def _requested(app_id: int, now: datetime, *, most_failures: int | None = 10) -> FleetFigures:
    platform = apps.find_platform(request.args.get("platform") or Platform.ANDROID.value)
    days = request.args.get("days", 7, type=int)
    days = days if days in PERIODS else 7
    return figures.fleet(reader(), app_id, platform, days=days, now=now, most_failures=most_failures)


def _checks(found: FleetFigures) -> Mapping[str, Any]:
    label = _hour if found.days <= 7 else _day
    colours = charts.colours_of((reason.value, number) for number, reason in enumerate(Reason))
    title = "Update checks by answer"
    chart = charts.stacked(found.checks, title=title, label=label, colours=colours, named=_words)
    return {"checks_chart": chart, "hour_label": label, "words": _words, "plain": str}


def _versions(app: App, found: FleetFigures, now: datetime) -> Mapping[str, Any]:
    running, adoption = found.running[:_RUNNING], _adoption(app, found, now)
    colours = _colours(app, found, now)
    title = "Active devices by version, day by day"
    return {
        "adoption": adoption,
        "adoption_chart": charts.stacked(adoption, title=title, label=_day, colours=colours),
        "adoption_days": len(adoption.moments),
        "day_label": _day,
        "running": [(name, number, charts.series_class(name, colours)) for name, number in running],
    }


def _adoption(app: App, found: FleetFigures, now: datetime) -> Series:
    if found.days >= _ADOPTION_DAYS:
        return found.adoption
    return figures.adoption(reader(), app.id, found.platform, days=_ADOPTION_DAYS, now=now)


def _colours(app: App, found: FleetFigures, now: datetime) -> Mapping[str, int]:
    """Return the color of each version.

    It is chosen over the longest period, so that it is the same in all of them.
    """
    longest = figures.adoption(reader(), app.id, found.platform, days=max(PERIODS), now=now)
    names = (*longest.names, *(name for name, _ in found.running[:_RUNNING]))
    return charts.colours_of((name, _number(name)) for name in names)


def _number(version: str) -> int:
    """Return the number that chooses a version's color: its version code, so that neighbors differ."""
    build = figures.age(version)[1]
    return build if isinstance(build, int) and build >= 0 else zlib.crc32(version.encode())


def _words(reason: str) -> str:
    return reason.replace("_", " ")


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b}"


def _hour(at: datetime) -> str:
    return f"{at.day} {at:%b %H:%M}"
