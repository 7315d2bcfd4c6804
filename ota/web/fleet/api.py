"""The fleet by program: the versions that an app's devices run, their checks, and what fails on them."""

from __future__ import annotations

from flask import Blueprint

from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader
from ota.fleet import figures
from ota.fleet.figures import FleetFigures
from ota.web.fleet.shapes import AdoptionPoint, ChecksPoint, FleetAnswer, FleetQuery, RunningView
from ota.web.health.views import failure_views
from ota.web.operation import MANAGING, Operation, operation

blueprint = Blueprint("manage_fleet", __name__)

_FAILURES = 100
"""Failure groups in the answer."""


@blueprint.get("/api/apps/<slug>/fleet")
@operation(
    Operation(
        access=Access.VIEW, summary="Show the fleet", tag=MANAGING, query=FleetQuery, answer=FleetAnswer
    )
)
def show(slug: str, query: FleetQuery) -> FleetAnswer:
    """Return the numbers of the fleet page: one platform's devices over a period."""
    app = apps.find(reader(), slug)
    found = figures.fleet(
        reader(),
        app.id,
        apps.find_platform(query.platform),
        days=query.days,
        now=utcnow(),
        most_failures=_FAILURES,
    )
    return _answer(found)


def _answer(found: FleetFigures) -> FleetAnswer:
    adoption, checks = found.adoption, found.checks
    return FleetAnswer(
        platform=found.platform,
        days=found.days,
        known=found.known,
        unseen={str(days): n for days, n in found.unseen.items()},
        counted_on=found.counted_on,
        running=[RunningView(version=version, devices=n) for version, n in found.running],
        adoption=[AdoptionPoint(day=at.date(), version=name, devices=n) for at, name, n in adoption.rows()],
        checks=[ChecksPoint(since=at, reason=name, checks=n) for at, name, n in checks.rows()],
        failures=failure_views(found.failures),
        message=f"{found.known:,} devices are known on {found.platform.label}.",
    )
