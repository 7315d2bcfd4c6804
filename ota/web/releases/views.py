"""From rows about releases to what callers see."""

from __future__ import annotations

from ota import approvals
from ota.clock import utcnow
from ota.core.plans import Plan, PlanStep
from ota.db import reader
from ota.devices import census
from ota.models import App, AuditEvent
from ota.releases import rows as release_rows
from ota.releases.terms import Terms
from ota.web.frame import render_page, start_of_page
from ota.web.releases import board
from ota.web.releases.shapes import EventView, PromoteRequest, ReleaseRequest
from ota.web.shapes import PlanStepShape

PAGE = 25
"""Releases on one page of the list."""


def terms_of(body: ReleaseRequest | PromoteRequest) -> Terms:
    """What a request says about a release, as the services take it."""
    return Terms(
        starts_at=body.starts_at,
        plan=plan_of(body.plan),
        groups=tuple(body.groups),
        mandatory_from=body.mandatory_from,
        critical_from=body.critical_from,
        critical_below=body.critical_below,
        is_floor=body.is_floor,
    )


def plan_of(steps: list[PlanStepShape]) -> Plan:
    """A plan as the services take it."""
    return tuple(PlanStep(step.rollout, step.soak_minutes) for step in steps)


def event_view(event: AuditEvent) -> EventView:
    return EventView(
        at=event.at, actor=event.actor, action=event.action, before=event.before, after=event.after
    )


def list_page(app: App, *, problem: str | None = None, about: int | None = None) -> str:
    """The page of all releases, also with the problem that came up about one of its proposals."""
    now, start = utcnow(), start_of_page()
    found = release_rows.listed(reader(), app, limit=PAGE + 1, offset=start)
    offered = release_rows.offered(reader(), app, now=now)
    return render_page(
        "releases/releases.html",
        app=app,
        places=board.places(reader(), app, now=now),
        active=census.active(reader(), app, now=now),
        proposals=approvals.listed(reader(), app, only_open=True),
        releases=found[:PAGE],
        start=start,
        page_size=PAGE,
        has_more=len(found) > PAGE,
        offered={release.id for release in offered},
        problem=problem,
        about=about,
    )
