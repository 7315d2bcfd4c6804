"""Addresses of an app's install page, and the signed values in them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from flask import current_app, url_for
from itsdangerous import BadData, URLSafeSerializer

from ota.errors import Gone, NotFound
from ota.models import App, ShareLink
from ota.web.views import public_url

MANIFEST_LIFETIME = timedelta(hours=1)
"""Validity of a manifest's address that was made for a share link."""


def install_url(app: App) -> str:
    """Return the absolute address of the page that is open to everybody."""
    return public_url() + url_for("install.show", slug=app.slug)


def share_url(link: ShareLink) -> str:
    """Return the absolute address of a share link. It holds only the link's id, signed."""
    return public_url() + url_for(
        "install.shared", slug=link.app.slug, signed=_serializer("share-link").dumps(link.id)
    )


def link_id_of(signed: str) -> int | None:
    """Return the id in a share link's address; None if this server did not sign it."""
    found = _unsigned("share-link", signed)
    return found if type(found) is int and found > 0 else None


def ios_install_url(app: App, link: ShareLink | None, now: datetime) -> str:
    """Return the address that starts an installation on iOS. It names the manifest, which iOS fetches without
    cookies.

    For a share link, the manifest's address carries a pass for this link, valid for `MANIFEST_LIFETIME`.
    """
    token = None
    if link is not None:
        token = _serializer("ios-manifest").dumps([link.id, int((now + MANIFEST_LIFETIME).timestamp())])
    manifest = public_url() + url_for("install.manifest", slug=app.slug, token=token)
    return f"itms-services://?action=download-manifest&url={quote(manifest, safe='')}"


def link_id_of_pass(token: str, now: datetime) -> int:
    """Return the id of the share link that a manifest's address was made for.

    Raises `NotFound` if this server did not sign it, `Gone` if it has expired.
    """
    match _unsigned("ios-manifest", token):
        case [int(link_id), int(until)]:
            if until <= now.timestamp():
                raise Gone("pass_expired", "This address was good for an hour. Open the install page again.")
            return link_id
    raise NotFound("bad_pass", "This address was not made by this server. Open the install page again.")


def _unsigned(purpose: str, text: str) -> Any:
    try:
        return _serializer(purpose).loads(text)
    except BadData:
        return None


def _serializer(purpose: str) -> URLSafeSerializer:
    return URLSafeSerializer(str(current_app.secret_key), salt=f"ota-{purpose}")
