"""Icons of builds, as PNG made by this server, for the install page and for people who are logged in."""

from __future__ import annotations

from flask import Blueprint, Response, request

from ota.apps import apps
from ota.core.permissions import Access
from ota.db import reader
from ota.installing import install_page
from ota.web.access import Caller, declare, page

blueprint = Blueprint("icons", __name__)


@blueprint.get("/install/<slug>/icon/<int:version_id>.png")
@declare(Access.PUBLIC, Caller.ANYONE)
def public(slug: str, version_id: int) -> Response:
    """The icon of an active version, if the install page is open to everybody."""
    return _png(slug, version_id, "public, max-age=3600", is_public=True)


@blueprint.get("/apps/<slug>/versions/<int:version_id>/icon.png")
@page(Access.VIEW)
def private(slug: str, version_id: int) -> Response:
    """The icon of any version."""
    return _png(slug, version_id, "private, max-age=3600", is_public=False)


def _png(slug: str, version_id: int, caching: str, *, is_public: bool) -> Response:
    icon, digest = install_page.icon(reader(), apps.find(reader(), slug), version_id, is_public=is_public)
    response = Response(icon, mimetype="image/png")
    response.headers["Cache-Control"] = caching
    response.set_etag(digest)
    response.make_conditional(request)
    return response
