"""Apps: making and changing them, finding them and their channels, and pinning their package ids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session, selectinload

from ota import catalogs
from ota.core.install_access import InstallAccess
from ota.core.platforms import Platform
from ota.db import compare_and_set
from ota.errors import Conflict, Invalid, NotFound, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, AppPlatform, Channel, Version

DEFAULT_CHANNEL = "stable"
_PLATFORMS = {platform.value: platform for platform in Platform}
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?", re.ASCII)


def create(session: Session, actor: Actor, *, slug: str, name: str, now: datetime) -> App:
    """Make an app with both platforms and the default channel. The first app becomes the default one.

    The slug never changes afterwards, because devices keep addresses that contain it.
    Raises `Invalid`, and `Conflict` (``slug_taken``).
    """
    name, slug = _checked_name(name), _checked_slug(session, slug)
    is_first = session.scalar(select(App.id).limit(1)) is None
    app = App(slug=slug, name=name, is_default=is_first, created_at=now)
    app.platforms = [AppPlatform(platform=platform) for platform in Platform]
    app.channels = [Channel(name=DEFAULT_CHANNEL, is_default=True, created_at=now)]
    session.add(app)
    session.flush()
    catalogs.touch(session, app.id)
    after = {"slug": slug, "name": name}
    audit.record(session, actor, "app.created", ("app", app.id), now=now, app_id=app.id, after=after)
    return app


def rename(session: Session, actor: Actor, app: App, *, name: str, revision: int, now: datetime) -> None:
    """Rename the app. Raises `Invalid`, and `Stale` if somebody else changed the app."""
    before, after = {"name": app.name}, {"name": _checked_name(name)}
    if not _set(session, app, after, revision):
        raise Stale(f"Somebody changed this app meanwhile: it is now called {app.name}. Look again.")
    _record(session, actor, app, "app.renamed", before, after, now)


def set_install_access(
    session: Session, actor: Actor, app: App, access: InstallAccess, *, revision: int, now: datetime
) -> None:
    """Set who can open the app's install page. Raises `Stale` if somebody else changed the app."""
    before, after = {"install_access": app.install_access}, {"install_access": access}
    if not _set(session, app, after, revision):
        raise Stale(
            "Somebody changed this app meanwhile: "
            f"its install page is now '{app.install_access}'. Look again."
        )
    if before != after:
        _record(session, actor, app, "app.install_access_changed", before, after, now)


def make_default(session: Session, actor: Actor, app: App, *, now: datetime) -> None:
    """Make this the app that answers devices that name no app."""
    if app.is_default:
        return
    for app_id in (app.id, *session.scalars(select(App.id).where(App.is_default))):
        catalogs.touch(session, app_id)
    session.execute(update(App).where(App.is_default).values(is_default=False))
    session.flush()
    app.is_default = True
    session.flush()
    audit.record(session, actor, "app.made_default", ("app", app.id), now=now, app_id=app.id)


def find(session: Session, slug: str | None) -> App:
    """Return the app with this slug, or the default app without one. Raises `NotFound`."""
    query = select(App).options(selectinload(App.channels))
    app = session.scalar(query.where(App.slug == slug) if slug else query.where(App.is_default))
    if app is None:
        shown = f"'{slug[:60]}'" if slug else "the default app"
        raise NotFound(
            "unknown_app",
            f"There is no app {shown}. Expected the slug of an app on this server.",
            field="app",
        )
    return app


def default_id(session: Session) -> int | None:
    """Return the id of the default app. None before the first app is made."""
    return session.scalar(select(App.id).where(App.is_default))


def everything(session: Session) -> Sequence[App]:
    """Return all apps by name."""
    return session.scalars(select(App).options(selectinload(App.platforms)).order_by(App.name)).all()


def find_channel(app: App, name: str | None) -> Channel:
    """Return the app's channel with this name, or its default channel without one. Raises `NotFound`."""
    for channel in app.channels:
        if channel.name == name or (not name and channel.is_default):
            return channel
    known = ", ".join(channel.name for channel in app.channels)
    raise NotFound(
        "unknown_channel",
        f"{app.name} has no channel '{(name or '')[:40]}'. Expected one of: {known}.",
        field="channel",
    )


def find_channel_id(session: Session, slug: str | None, name: str | None) -> int:
    """Do `find` and `find_channel` in one small query, for the hot path. Raises what they raise."""
    query = select(Channel.id).join(Channel.app).where(App.slug == slug if slug else App.is_default)
    found = session.scalar(query.where(Channel.name == name if name else Channel.is_default))
    return found if found is not None else find_channel(find(session, slug), name).id


def find_platform(text: str) -> Platform:
    """Return the platform with this name. Raises `Invalid` (``unknown_platform``)."""
    found = _PLATFORMS.get(text)
    if found is not None:
        return found
    try:
        return Platform(text.strip().lower())
    except ValueError:
        raise Invalid(
            "unknown_platform", f"'{text[:40]}' is not a platform. Expected android or ios.", field="platform"
        ) from None


def with_package(session: Session, platform: Platform, package_id: str) -> Sequence[App]:
    """Return the apps that are pinned to this package id."""
    query = (
        select(App)
        .join(AppPlatform)
        .where(AppPlatform.platform == platform, AppPlatform.package_id == package_id)
    )
    return session.scalars(query).all()


def check_package(session: Session, app: App, platform: Platform, package_id: str) -> None:
    """Raise `Conflict` (``other_package``) if the app has versions with another package id."""
    pinned = app.package_id(platform)
    if pinned is None or pinned == package_id:
        return
    versions = select(Version.id).where(Version.app_id == app.id, Version.platform == platform)
    if session.scalar(versions.limit(1)) is not None:
        raise Conflict("other_package", f"{app.name} is {pinned} on {platform.label}, not {package_id}.")


def pin_package(
    session: Session, actor: Actor, app: App, platform: Platform, package_id: str, *, now: datetime
) -> None:
    """Pin the app to the package id of its first build. Later builds must have the same.

    Raises `Conflict` (``other_package``) if another id is pinned and the app has versions with it.
    """
    row = app.on(platform)
    before = row.package_id
    if before == package_id:
        return
    check_package(session, app, platform, package_id)
    # When two first builds arrive at once, only one of them decides.
    if not compare_and_set(
        session, AppPlatform, {"id": row.id}, {"package_id": before}, {"package_id": package_id}
    ):
        if app.package_id(platform) == package_id:
            return
        raise Conflict(
            "other_package",
            f"{app.name} became {app.package_id(platform)} on {platform.label} at the same moment.",
        )
    _record(session, actor, app, "app.package_pinned", {platform: before}, {platform: package_id}, now)


def _set(session: Session, app: App, values: dict[str, Any], revision: int) -> bool:
    new_row = {**values, "revision": revision + 1}
    return compare_and_set(session, App, {"id": app.id}, {"revision": revision}, new_row)


def _record(
    session: Session,
    actor: Actor,
    app: App,
    action: str,
    before: dict[str, Any],
    after: dict[str, Any],
    now: datetime,
) -> None:
    subject = ("app", app.id)
    audit.record(session, actor, action, subject, now=now, app_id=app.id, before=before, after=after)


def _checked_slug(session: Session, slug: str) -> str:
    slug = slug.strip().lower()
    if not _SLUG.fullmatch(slug):
        raise Invalid(
            "bad_slug",
            "A slug has 1 to 60 lower-case letters, digits and inner hyphens, for example my-app.",
            field="slug",
        )
    if session.scalar(select(App.id).where(App.slug == slug)) is not None:
        raise Conflict("slug_taken", f"There already is an app with the slug {slug}.", field="slug")
    return slug


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 120:
        raise Invalid("bad_name", "An app needs a name of 1 to 120 characters.", field="name")
    return name
