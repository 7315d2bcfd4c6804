"""The changelog, for the page of an app that shows what is new. Open to everybody."""

from __future__ import annotations

from flask import Blueprint, Response, after_this_request

from ota.builds import changelogs
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader
from ota.models import Version
from ota.web import views
from ota.web.builds.shapes import ChangelogAnswer, ChangelogEntry, ChangelogQuery
from ota.web.operation import DEVICES, Operation, operation, with_plus

blueprint = Blueprint("changelog", __name__)


@blueprint.get("/api/updates/changelog")
@operation(
    Operation(
        access=Access.PUBLIC, summary="What is new", tag=DEVICES, query=ChangelogQuery, answer=ChangelogAnswer
    )
)
def show(query: ChangelogQuery) -> ChangelogAnswer:
    """The release notes of every version above ``since`` that is open to all devices, newest first."""
    since = with_plus(query.since)
    found = changelogs.changelog(
        reader(),
        app=query.app,
        platform=query.platform,
        channel=query.channel,
        since=since,
        limit=query.limit,
        now=utcnow(),
    )
    after_this_request(_cache_for_a_minute)
    entries = [_entry(version, query.locale) for version in found.versions]
    return ChangelogAnswer(since=since, latest_version=found.latest, versions=entries)


def _cache_for_a_minute(response: Response) -> Response:
    response.headers["Cache-Control"] = "public, max-age=60"
    return response


def _entry(version: Version, locale: str | None) -> ChangelogEntry:
    return ChangelogEntry(
        version=version.version,
        version_code=version.version_code,
        release_notes=views.notes_for(version, locale),
        is_mandatory=version.is_mandatory,
        published_at=version.published_at,
    )
