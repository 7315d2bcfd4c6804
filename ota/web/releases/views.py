"""Conversions of requests and rows about releases, and the page that lists them."""

from __future__ import annotations

from ota import approvals
from ota.apps import apps
from ota.builds.version_edits import VersionEdit
from ota.builds.versions import VersionDraft
from ota.clock import utcnow
from ota.core.plans import Plan, PlanStep
from ota.db import reader
from ota.devices import census
from ota.models import App, AuditEvent
from ota.releases import rows as release_rows
from ota.releases.terms import Terms
from ota.web.frame import render_page, start_of_page
from ota.web.releases import board
from ota.web.releases.shapes import EventView, TermsRequest
from ota.web.shapes import PlanStepShape, PublishRequest

PAGE = 25
"""Releases on one page of the list."""


def terms_of(body: TermsRequest) -> Terms:
    """Return the terms in a request."""
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
    """Return the plan in a request."""
    return tuple(PlanStep(step.rollout, step.soak_minutes) for step in steps)


def version_draft_of(body: PublishRequest) -> VersionDraft:
    """Return the version that a publish request describes."""
    return VersionDraft(
        platform=apps.find_platform(body.platform),
        version=body.version,
        version_code=body.version_code,
        download_url=body.download_url,
        file_size=body.file_size,
        checksum=body.checksum,
        release_notes=body.release_notes,
        is_mandatory=bool(body.is_mandatory),
        min_supported_version=body.min_supported_version,
        min_sdk=body.min_sdk,
        min_os=body.min_os,
        localized_notes=body.localized_notes or {},
    )


def version_edit_of(body: PublishRequest) -> VersionEdit:
    """Return the changes of a publish request to a version that exists already."""
    return VersionEdit(
        release_notes=body.release_notes,
        is_mandatory=body.is_mandatory,
        min_supported_version=body.min_supported_version,
        localized_notes=body.localized_notes,
    )


def event_view(event: AuditEvent) -> EventView:
    """Return an entry of the history."""
    return EventView(
        at=event.at, actor=event.actor, action=event.action, before=event.before, after=event.after
    )


def list_page(app: App, *, problem: str | None = None, about: int | None = None) -> str:
    """Return the page of all releases. ``problem`` is shown at the proposal with the id ``about``."""
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
