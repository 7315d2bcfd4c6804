"""The install page, from which people put an app onto their phone without an account."""

from __future__ import annotations

import base64
import plistlib
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from ota.clock import utcnow
from ota.core.install_access import visitor_platform
from ota.core.permissions import Access
from ota.core.platforms import Platform
from ota.db import reader, transaction
from ota.errors import Forbidden, OtaError
from ota.installing import install_page, share_links
from ota.installing.install_page import Offering
from ota.models import App, ShareLink
from ota.parts import part
from ota.web.access import Caller, declare, page
from ota.web.forms import LinkPasswordForm, UdidForm, show_error
from ota.web.installing import links
from ota.web.limits import LoginLimits
from ota.web.views import download_url, public_url

blueprint = Blueprint("install", __name__, url_prefix="/install/<slug>")

_UNLOCKED = "unlocked_shares"
_MAX_UNLOCKED = 20


class PasswordNeeded(Forbidden):
    """The link is valid, but this browser has not sent its password yet."""


@blueprint.get("")
@page(Access.PUBLIC)
def show(slug: str) -> ResponseReturnValue:
    """The page that is open to everybody, with the app's version for each platform."""
    return _page(install_page.open_app(reader(), slug), None)


@blueprint.get("/s/<signed>")
@page(Access.PUBLIC)
def shared(slug: str, signed: str) -> ResponseReturnValue:
    """The page through a share link, after its password if it has one."""
    link = _link(slug, signed)
    if _is_locked(link):
        return _password_page(LinkPasswordForm(), 200)
    link_id, shown = link.id, _page(link.app, link)
    if request.method == "GET":
        with transaction() as writing:
            share_links.count_view(writing, link_id)
    return shown


@blueprint.post("/s/<signed>")
@page(Access.PUBLIC)
def unlock(slug: str, signed: str) -> ResponseReturnValue:
    """Check the password of a share link. A browser needs to send it only once."""
    link, form = _link(slug, signed), LinkPasswordForm()
    if not form.validate_on_submit():
        return _password_page(form, 422)
    if not _is_password_right(link, form.password.data):
        show_error(form, Forbidden("wrong_password", "The password is wrong.", field="password"))
        return _password_page(form, 422)
    session[_UNLOCKED] = [*session.get(_UNLOCKED, []), link.id][-_MAX_UNLOCKED:]
    return redirect(url_for("install.shared", slug=slug, signed=signed), 303)


@blueprint.post("/device")
@blueprint.post("/s/<signed>/device")
@page(Access.PUBLIC)
def check_device(slug: str, signed: str | None = None) -> ResponseReturnValue:
    """Show whether the visitor's device is in the profile. Its UDID is posted, so that no log records it."""
    app, link = _opened(slug, signed)
    form, is_registered = UdidForm(), None
    if form.validate_on_submit():
        try:
            is_registered = install_page.is_registered(reader(), app, form.udid.data, now=utcnow())
        except OtaError as error:
            show_error(form, error)
    return _page(app, link, form, is_registered), 422 if is_registered is None else 200


@blueprint.get("/android")
@blueprint.get("/s/<signed>/android")
@page(Access.PUBLIC)
def android(slug: str, signed: str | None = None) -> ResponseReturnValue:
    """Redirect to the newest file for Android."""
    app, link = _opened(slug, signed)
    found = install_page.installable(reader(), app, Platform.ANDROID, base_url=public_url(), now=utcnow())
    assert found.version is not None
    target = (
        found.version.download_url
    )  # A path for files on this server, which works at any of its addresses.
    _count_download(link)
    response = redirect(target)
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/ios.plist")
@declare(Access.PUBLIC, Caller.ANYONE)
def manifest(slug: str) -> ResponseReturnValue:
    """The manifest that iOS reads first. iOS sends no cookies, so a share link's pass is in the address."""
    now, token, link = utcnow(), request.args.get("token"), None
    if token is not None:
        link = share_links.open_link(reader(), slug, links.link_id_of_pass(token, now), now=now)
    app = link.app if link else install_page.open_app(reader(), slug)
    found = install_page.installable(reader(), app, Platform.IOS, base_url=public_url(), now=now)
    answer = Response(plistlib.dumps(_manifest(app, found)), mimetype="application/xml")
    answer.headers["Cache-Control"] = "no-store"
    _count_download(link)
    return answer


def _manifest(app: App, found: Offering) -> dict[str, Any]:
    assert found.version is not None
    assets = [{"kind": "software-package", "url": download_url(found.version)}]
    if found.has_icon and install_page.has_public_icons(app):
        url = public_url() + _icon_path(app, found.version.id)
        assets += [{"kind": kind, "url": url} for kind in ("display-image", "full-size-image")]
    metadata = {
        "bundle-identifier": found.bundle_id,
        "bundle-version": found.version.version,
        "kind": "software",
        "title": found.label or app.name,
    }
    return {"items": [{"assets": assets, "metadata": metadata}]}


def _link(slug: str, signed: str) -> ShareLink:
    return share_links.open_link(reader(), slug, links.link_id_of(signed), now=utcnow())


def _opened(slug: str, signed: str | None) -> tuple[App, ShareLink | None]:
    """Return the app, and the link in the address. Raises `PasswordNeeded` for a locked link."""
    if signed is None:
        return install_page.open_app(reader(), slug), None
    link = _link(slug, signed)
    if _is_locked(link):
        raise PasswordNeeded(
            "password_needed", "This link has a password. Open the link again and enter it first."
        )
    return link.app, link


def _is_locked(link: ShareLink) -> bool:
    return link.password_hash is not None and link.id not in session.get(_UNLOCKED, [])


def _is_password_right(link: ShareLink, password: str) -> bool:
    """Check a password. Only wrong ones count as tries: a team can share an address. Raises `TooMany`."""
    limits, address = part(LoginLimits), request.remote_addr or ""
    limits.check(address, str(link.id), kind="share")
    if share_links.opens_with(link, password):
        return True
    limits.note_try(address, str(link.id), kind="share")
    return False


def _count_download(link: ShareLink | None) -> None:
    if link is not None and request.method == "GET":
        link_id = link.id
        with transaction() as writing:
            share_links.count_download(writing, link_id)


def _password_page(form: LinkPasswordForm, status: int) -> ResponseReturnValue:
    return render_template("installing/install_password.html", form=form), status


def _page(
    app: App, link: ShareLink | None, form: UdidForm | None = None, is_registered: bool | None = None
) -> str:
    now, here = utcnow(), visitor_platform(request.user_agent.string)
    found = install_page.offerings(reader(), app, first=here, base_url=public_url(), now=now)
    signed = (request.view_args or {}).get("signed")
    return render_template(
        "installing/install.html",
        app=app,
        link=link,
        here=here,
        offerings=found,
        form=form or UdidForm(formdata=None),
        is_registered=is_registered,
        title=next((each.label for each in found if each.label), app.name),
        picture=_picture(app, found),
        address=links.share_url(link) if link else links.install_url(app),
        actions={
            Platform.ANDROID: url_for("install.android", slug=app.slug, signed=signed),
            Platform.IOS: links.ios_install_url(app, link, now),
        },
        device_action=url_for("install.check_device", slug=app.slug, signed=signed),
    )


def _picture(app: App, found: list[Offering]) -> str | None:
    """Return the address of the icon, or a data URL where the icons of the app are not public."""
    version = next((each.version for each in found if each.version and each.has_icon), None)
    if version is None or install_page.has_public_icons(app):
        return _icon_path(app, version.id) if version else None
    icon, _ = install_page.icon(reader(), app, version.id, is_public=False)
    return f"data:image/png;base64,{base64.b64encode(icon).decode()}"


def _icon_path(app: App, version_id: int) -> str:
    return url_for("icons.public", slug=app.slug, version_id=version_id)
