"""JSON operations on versions: list, read, check, edit, delete."""

from __future__ import annotations

from flask import Blueprint

from ota.apps import apps
from ota.builds import version_edits, versions
from ota.builds.version_edits import VersionEdit
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.releases import preflight
from ota.web import views
from ota.web.access import actor
from ota.web.builds import views as build_views
from ota.web.builds.shapes import PreflightAnswer, PreflightQuery
from ota.web.operation import MANAGING, Operation, operation
from ota.web.shapes import DeletedAnswer, VersionAnswer, VersionEditRequest, VersionsAnswer, VersionsQuery

blueprint = Blueprint("manage_versions", __name__)


@blueprint.get("/api/versions")
@operation(
    Operation(
        access=Access.VIEW, summary="List versions", tag=MANAGING, query=VersionsQuery, answer=VersionsAnswer
    )
)
def index(query: VersionsQuery) -> VersionsAnswer:
    """The app's versions, the last added first."""
    app = apps.find(reader(), query.app)
    platform = apps.find_platform(query.platform) if query.platform else None
    found = versions.newest(reader(), app, platform=platform, limit=query.limit, offset=query.offset)
    return VersionsAnswer(versions=[views.version_view(version, is_listed=True) for version in found])


@blueprint.get("/api/versions/<int:version_id>")
@operation(Operation(access=Access.VIEW, summary="Read a version", tag=MANAGING, answer=VersionAnswer))
def show(version_id: int) -> VersionAnswer:
    """One version with its releases."""
    version = versions.get(reader(), version_id)
    return VersionAnswer(version=views.version_view(version), message=f"Version {version.version}.")


@blueprint.get("/api/versions/<int:version_id>/preflight")
@operation(
    Operation(
        access=Access.VIEW,
        summary="Look before publishing",
        tag=MANAGING,
        query=PreflightQuery,
        answer=PreflightAnswer,
    )
)
def preflight_list(version_id: int, query: PreflightQuery) -> PreflightAnswer:
    """The checks before a version is published on a channel, each with pass, warn or block and a reason."""
    version = versions.get(reader(), version_id)
    channel = apps.find_channel(version.app, query.channel)
    checks = preflight.examine(reader(), version, channel, is_https=views.is_https(), now=utcnow())
    return build_views.preflight_answer(channel.name, checks)


@blueprint.patch("/api/versions/<int:version_id>")
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="Edit a version",
        tag=MANAGING,
        body=VersionEditRequest,
        answer=VersionAnswer,
    )
)
def edit(version_id: int, body: VersionEditRequest) -> VersionAnswer:
    """Change notes and flags. Values read from the file do not change."""
    changes = VersionEdit(
        release_notes=body.release_notes,
        is_mandatory=body.is_mandatory,
        min_supported_version=body.min_supported_version,
        localized_notes=body.localized_notes,
    )
    with transaction() as session:
        version = versions.get(session, version_id)
        version_edits.edit(session, actor(), version, changes, revision=body.revision, now=utcnow())
    return VersionAnswer(
        version=views.version_view(version), message=f"Version {version.version} is changed."
    )


@blueprint.delete("/api/versions/<int:version_id>")
@operation(Operation(access=Access.PUBLISH, summary="Delete a version", tag=MANAGING, answer=DeletedAnswer))
def delete(version_id: int) -> DeletedAnswer:
    """Delete a version that was never published."""
    with transaction() as session:
        version = versions.get(session, version_id)
        name = version.version
        versions.delete(session, actor(), version, now=utcnow())
    return DeletedAnswer(message=f"Version {name} is deleted.")
