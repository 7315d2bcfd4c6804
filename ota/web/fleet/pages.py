"""The fleet: what the devices of an app run, how they ask, and what fails on them."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from ota.apps import apps
from ota.clock import utcnow
from ota.core.decision import Reason
from ota.core.permissions import Access
from ota.core.platforms import Platform
from ota.db import reader
from ota.errors import Invalid
from ota.fleet import figures
from ota.fleet.figures import FleetFigures
from ota.web import charts
from ota.web.access import page
from ota.web.frame import render_page
from ota.web.health import views as health_views
from ota.web.in_view import app_in_view

blueprint = Blueprint("admin_fleet", __name__, url_prefix="/apps/<slug>")

PERIODS = {1: "24 h", 7: "7 d", 30: "30 d", 90: "90 d"}
_ADOPTION_DAYS = 7
"""Of adoption, which is counted by the day, the page shows so many days at least."""

_RUNNING = 12


@blueprint.get("/fleet")
@page(Access.VIEW)
def show(slug: str) -> ResponseReturnValue:
    """One platform's devices over a period; platforms are never put together."""
    app, now = app_in_view(slug), utcnow()
    found = _asked(app.id, now)
    by_hour = _hour if found.days <= 7 else _day
    long = figures.adoption(reader(), app.id, found.platform, days=max(PERIODS), now=now)
    versions = charts.colours_of(
        (name, _number(name)) for name in (*long.names, *(name for name, _ in found.running[:_RUNNING]))
    )
    reasons = charts.colours_of((reason.value, number) for number, reason in enumerate(Reason))
    checks = charts.stacked(
        found.checks, title="Update checks by answer", label=by_hour, colours=reasons, named=_words
    )
    adoption = (
        found.adoption
        if found.days >= _ADOPTION_DAYS
        else figures.adoption(reader(), app.id, found.platform, days=_ADOPTION_DAYS, now=now)
    )
    adoption_chart = charts.stacked(
        adoption, title="Active devices by version, day by day", label=_day, colours=versions
    )
    return render_page(
        "fleet/fleet.html",
        app=app,
        fleet=found,
        periods=PERIODS,
        platforms=list(Platform),
        adoption=adoption,
        adoption_chart=adoption_chart,
        adoption_days=len(adoption.moments),
        checks_chart=checks,
        day_label=_day,
        hour_label=by_hour,
        words=_words,
        plain=str,
        running=[
            (name, number, charts.series_class(name, versions)) for name, number in found.running[:_RUNNING]
        ],
        standing=health_views.offered_releases(reader(), app, found.platform, now=now),
    )


@blueprint.get("/fleet.csv")
@page(Access.VIEW)
def export(slug: str) -> Response:
    """The numbers of one chart for a spreadsheet. Times are UTC; only what is not zero has a row."""
    found, chart = (
        _asked(app_in_view(slug).id, utcnow(), most_failures=None),
        request.args.get("chart") or "adoption",
    )
    if chart not in _TABLES:
        raise Invalid.about(
            "chart",
            "unknown_chart",
            f"there is no chart {chart[:40]!r}. Expected one of: {', '.join(_TABLES)}.",
        )
    text = io.StringIO()
    writer = csv.writer(text)
    heads, rows = _TABLES[chart]
    writer.writerow(heads)
    writer.writerows(
        [plain_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows(found)
    )
    name = f"{slug}-{chart}-{found.platform}-{found.days}d.csv"
    return Response(
        text.getvalue(),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def plain_cell(text: str) -> str:
    """A text that a spreadsheet does not take for a formula: what devices send stands in these cells."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _failures(found: FleetFigures) -> list[tuple[object, ...]]:
    return [
        (
            each.version,
            each.version_code,
            each.kind,
            each.signature,
            each.devices,
            each.events,
            f"{each.last_at:%Y-%m-%dT%H:%MZ}",
        )
        for each in found.failures
    ]


_TABLES: Mapping[str, tuple[Sequence[str], Callable[[FleetFigures], Iterable[Sequence[object]]]]] = {
    "adoption": (
        ("day", "version", "devices"),
        lambda found: [(at.date(), name, n) for at, name, n in found.adoption.rows()],
    ),
    "running": (("version", "devices"), lambda found: found.running),
    "checks": (
        ("from", "reason", "checks"),
        lambda found: [(f"{at:%Y-%m-%dT%H:%MZ}", name, n) for at, name, n in found.checks.rows()],
    ),
    "failures": (("version", "version_code", "kind", "signature", "devices", "events", "last_at"), _failures),
}
"""Of each chart the names of its columns, and its rows."""


def _asked(app_id: int, now: datetime, *, most_failures: int | None = 10) -> FleetFigures:
    platform = apps.find_platform(request.args.get("platform") or Platform.ANDROID.value)
    days = request.args.get("days", 7, type=int)
    days = days if days in PERIODS else 7
    return figures.fleet(reader(), app_id, platform, days=days, now=now, most_failures=most_failures)


def _number(version: str) -> int:
    """What a version's colour is chosen by: its build, which lies beside those of its neighbours."""
    build = figures.age(version)[1]
    return build if isinstance(build, int) and build >= 0 else zlib.crc32(version.encode())


def _words(reason: str) -> str:
    return reason.replace("_", " ")


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b}"


def _hour(at: datetime) -> str:
    return f"{at.day} {at:%b %H:%M}"
