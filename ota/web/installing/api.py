"""JSON operations on share links: list, create, revoke."""

from __future__ import annotations

from flask import Blueprint

from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.installing import share_links
from ota.models import ShareLink
from ota.web.access import actor
from ota.web.installing import links
from ota.web.installing.shapes import (
    ShareLinkAnswer,
    ShareLinkRequest,
    ShareLinksAnswer,
    ShareLinksQuery,
    ShareLinkView,
)
from ota.web.operation import MANAGING, Operation, operation

blueprint = Blueprint("manage_shares", __name__)


@blueprint.get("/api/share-links")
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="List share links",
        tag=MANAGING,
        query=ShareLinksQuery,
        answer=ShareLinksAnswer,
    )
)
def index(query: ShareLinksQuery) -> ShareLinksAnswer:
    """The app's links: those that are not revoked first, and the newest of them first."""
    found = share_links.of_app(
        reader(), apps.find(reader(), query.app), limit=query.limit, offset=query.offset
    )
    return ShareLinksAnswer(share_links=[_view(link) for link in found])


@blueprint.post("/api/share-links")
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="Make a share link",
        tag=MANAGING,
        body=ShareLinkRequest,
        answer=ShareLinkAnswer,
        status=201,
    )
)
def create(body: ShareLinkRequest) -> ShareLinkAnswer:
    """Create an address that opens the app's install page to people without an account."""
    with transaction() as session:
        app = apps.find(session, body.app)
        link = share_links.create(
            session, actor(), app, name=body.name, days=body.days, password=body.password, now=utcnow()
        )
    return _answer(link, f"The link is good for {body.days} {'day' if body.days == 1 else 'days'}.")


@blueprint.post("/api/share-links/<int:link_id>/revoke")
@operation(
    Operation(access=Access.PUBLISH, summary="Revoke a share link", tag=MANAGING, answer=ShareLinkAnswer)
)
def revoke(link_id: int) -> ShareLinkAnswer:
    """Close a link from the next request on. Apps that were installed through it stay installed."""
    with transaction() as session:
        link = share_links.get(session, link_id)
        share_links.revoke(session, actor(), link, now=utcnow())
    return _answer(link, "The link is revoked.")


def _answer(link: ShareLink, message: str) -> ShareLinkAnswer:
    view = _view(link)
    return ShareLinkAnswer(url=view.url, share_link=view, message=message)


def _view(link: ShareLink) -> ShareLinkView:
    return ShareLinkView(
        id=link.id,
        app=link.app.slug,
        name=link.name,
        url=links.share_url(link),
        state=share_links.state_of(link, utcnow()),
        has_password=link.password_hash is not None,
        created_at=link.created_at,
        created_by=link.created_by,
        expires_at=link.expires_at,
        revoked_at=link.revoked_at,
        views=link.views,
        downloads=link.downloads,
    )
