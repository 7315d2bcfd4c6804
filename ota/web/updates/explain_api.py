"""Explain the answer to a device, and preview the reach of a release. Nothing is changed."""

from __future__ import annotations

from flask import Blueprint
from msgspec import UNSET

from ota.apps import apps
from ota.builds import versions
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader
from ota.releases import previews
from ota.releases import rows as release_rows
from ota.updates import explaining
from ota.updates.explaining import Inquiry
from ota.web.journal import hashed
from ota.web.operation import MANAGING, Operation, operation, with_plus
from ota.web.releases.shapes import ReleaseRequest
from ota.web.releases.views import terms_of
from ota.web.updates.explain_shapes import ExplainAnswer, ExplainQuery, PreviewAnswer, PreviewQuery
from ota.web.updates.explain_views import explain_answer, preview_answer

blueprint = Blueprint("manage_explain", __name__)


@blueprint.get("/api/releases/explain")
@operation(
    Operation(
        access=Access.VIEW,
        summary="Explain a decision",
        tag=MANAGING,
        query=ExplainQuery,
        answer=ExplainAnswer,
    )
)
def explain(query: ExplainQuery) -> ExplainAnswer:
    """Return the answer to a device, from the code that answers devices, with every rule that was applied."""
    inquiry = Inquiry(
        platform=query.platform,
        current_version=with_plus(query.current_version),
        device_id=query.device_id,
        app=query.app,
        channel=query.channel,
        user_initiated=query.user_initiated,
        sdk=query.sdk,
        os_version=query.os_version,
        abis=tuple(query.abis.split(",")) if query.abis else (),
    )
    device_hash = hashed(query.device_id) if query.device_id else None
    found = explaining.explain_answer(reader(), inquiry, device_hash=device_hash, now=utcnow())
    return explain_answer(found, device_id=query.device_id, locale=query.locale)


@blueprint.post("/api/versions/<int:version_id>/preview")
@operation(
    Operation(
        access=Access.VIEW,
        summary="Preview a release",
        tag=MANAGING,
        body=ReleaseRequest,
        is_body_optional=True,
        answer=PreviewAnswer,
    )
)
def preview_version(version_id: int, body: ReleaseRequest) -> PreviewAnswer:
    """Return how many active devices would be offered a release with these terms. Nothing is changed."""
    session, now = reader(), utcnow()
    version = versions.get(session, version_id)
    channel = apps.find_channel(version.app, body.channel)
    rollout = None if body.rollout is UNSET else body.rollout
    release = previews.draft(session, version, channel, rollout=rollout, terms=terms_of(body), now=now)
    return preview_answer(previews.preview(session, release, now))


@blueprint.get("/api/releases/<int:release_id>/preview")
@operation(
    Operation(
        access=Access.VIEW,
        summary="Preview a rollout",
        tag=MANAGING,
        query=PreviewQuery,
        answer=PreviewAnswer,
    )
)
def preview_release(release_id: int, query: PreviewQuery) -> PreviewAnswer:
    """Preview how many active devices would be offered a release at another rollout. Changes nothing."""
    release = previews.check_live(release_rows.get(reader(), release_id))
    return preview_answer(previews.preview(reader(), release, utcnow(), query.rollout))
