"""The fleet: what the devices of an app run, how they ask, and what fails on them."""

from __future__ import annotations

import csv
import io
from datetime import datetime

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from ota.clock import utcnow
from ota.core.permissions import Access
from ota.core.platforms import Platform
from ota.db import reader
from ota.services import apps, fleet_figures
from ota.services.fleet_figures import Fleet, Series
from ota.web import charts
from ota.web.access import page
from ota.web.admin.apps import app_in_view
from ota.web.templating import render_page

blueprint = Blueprint("admin_fleet", __name__, url_prefix="/apps/<slug>")

PERIODS = {1: "24 h", 7: "7 d", 30: "30 d", 90: "90 d"}


@blueprint.get("/fleet")
@page(Access.VIEW)
def show(slug: str) -> ResponseReturnValue:
    """One platform's devices over a period; platforms are never put together."""
    app = app_in_view(slug)
    found = _asked(app.id)
    by_hour = _hour if found.days <= 7 else _day
    adoption = charts.stacked(found.adoption, title="Active devices by version, day by day", label=_day)
    checks = charts.stacked(found.checks, title="Update checks by answer", label=by_hour, named=_words)
    return render_page(
        "fleet.html", app=app, fleet=found, periods=PERIODS, platforms=list(Platform), adoption_chart=adoption, checks_chart=checks,
        day_label=_day, hour_label=by_hour, words=_words, plain=str,
    )  # fmt: skip


@blueprint.get("/fleet.csv")
@page(Access.VIEW)
def export(slug: str) -> Response:
    """The page's numbers for a spreadsheet: what is counted, from when (UTC), which one, how many."""
    found = _asked(app_in_view(slug).id)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["figure", "from", "name", "number"])
    for figure, series in (("devices", found.adoption), ("checks", found.checks)):
        writer.writerows([figure, *row] for row in _rows(series))
    name = f"fleet-{slug}-{found.platform}-{found.days}d.csv"
    return Response(
        text.getvalue(), mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    )


def plain_cell(text: str) -> str:
    """A text that a spreadsheet does not take for a formula: what devices send stands in these cells."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _rows(series: Series) -> list[list[str]]:
    return [
        [f"{moment:%Y-%m-%dT%H:%MZ}", plain_cell(name), str(series.at(moment, name))]
        for moment in series.moments
        for name in series.names
        if series.at(moment, name)
    ]


def _asked(app_id: int) -> Fleet:
    platform = apps.find_platform(request.args.get("platform") or Platform.ANDROID.value)
    days = request.args.get("days", 7, type=int)
    return fleet_figures.fleet(reader(), app_id, platform, days=days if days in PERIODS else 7, now=utcnow())


def _words(reason: str) -> str:
    return reason.replace("_", " ")


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b}"


def _hour(at: datetime) -> str:
    return f"{at.day} {at:%b %H:%M}"
