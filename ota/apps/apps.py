"""Apps and their channels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

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
    """A new app with both platforms and the default channel. The first app is the default one.

    The slug is part of addresses that devices keep, so it never changes afterwards.
    """
    slug, name = slug.strip().lower(), _checked_name(name)
    if not _SLUG.fullmatch(slug):
        raise Invalid(
            "bad_slug",
            "A slug has 1 to 60 lower-case letters, digits and inner hyphens, for example my-app.",
            field="slug",
        )
    if session.scalar(select(App.id).where(App.slug == slug)) is not None:
        raise Conflict("slug_taken", f"There already is an app with the slug {slug}.", field="slug")
    is_first = session.scalar(select(App.id).limit(1)) is None
    app = App(slug=slug, name=name, is_default=is_first, created_at=now)
    app.platforms = [AppPlatform(platform=platform) for platform in Platform]
    app.channels = [Channel(name=DEFAULT_CHANNEL, is_default=True, created_at=now)]
    session.add(app)
    session.flush()
    catalogs.touch(session, app.id)
    audit.record(
        session,
        actor,
        "app.created",
        ("app", app.id),
        now=now,
        app_id=app.id,
        after={"slug": slug, "name": name},
    )
    return app


def rename(session: Session, actor: Actor, app: App, *, name: str, revision: int, now: datetime) -> None:
    """Raises `Conflict` when somebody changed the app meanwhile."""
    name, before = _checked_name(name), app.name
    values = {"name": name, "revision": revision + 1}
    if not compare_and_set(session, App, {"id": app.id}, {"revision": revision}, values):
        raise Stale(f"Somebody changed this app meanwhile: it is now called {app.name}. Look again.")
    audit.record(
        session,
        actor,
        "app.renamed",
        ("app", app.id),
        now=now,
        app_id=app.id,
        before={"name": before},
        after={"name": name},
    )


def set_install_access(
    session: Session, actor: Actor, app: App, access: InstallAccess, *, revision: int, now: datetime
) -> None:
    """Who may see the app's install page. Raises `Conflict` when somebody changed the app meanwhile."""
    before = app.install_access
    values = {"install_access": access, "revision": revision + 1}
    if not compare_and_set(session, App, {"id": app.id}, {"revision": revision}, values):
        raise Stale(
            f"Somebody changed this app meanwhile: its install page is now '{app.install_access}'. Look again."
        )
    if before != access:
        was, after = {"install_access": before}, {"install_access": access}
        audit.record(
            session,
            actor,
            "app.install_access_changed",
            ("app", app.id),
            now=now,
            app_id=app.id,
            before=was,
            after=after,
        )


def make_default(session: Session, actor: Actor, app: App, *, now: datetime) -> None:
    """From now on this app answers devices that name no app."""
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
    """The app with this slug, or the default app without one. Raises `NotFound`."""
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
    """The id of the app that is meant where none is named."""
    return session.scalar(select(App.id).where(App.is_default))


def everything(session: Session) -> Sequence[App]:
    return session.scalars(select(App).options(selectinload(App.platforms)).order_by(App.name)).all()


def find_channel(app: App, name: str | None) -> Channel:
    """The app's channel with this name, or its default channel. Raises `NotFound`."""
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
    """`find` and `find_channel` in one small query, for the path that every device takes. Raises what they raise."""
    query = select(Channel.id).join(Channel.app).where(App.slug == slug if slug else App.is_default)
    found = session.scalar(query.where(Channel.name == name if name else Channel.is_default))
    return found if found is not None else find_channel(find(session, slug), name).id


def find_platform(text: str) -> Platform:
    """Raises `Invalid` for a platform that we don't know."""
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
    """The apps whose builds have this package (bundle) id."""
    query = (
        select(App)
        .join(AppPlatform)
        .where(AppPlatform.platform == platform, AppPlatform.package_id == package_id)
    )
    return session.scalars(query).all()


def check_package(session: Session, app: App, platform: Platform, package_id: str) -> None:
    """Raises `Conflict` when the app has versions with another package id on this platform."""
    pinned = app.package_id(platform)
    if pinned is None or pinned == package_id:
        return
    if (
        session.scalar(
            select(Version.id).where(Version.app_id == app.id, Version.platform == platform).limit(1)
        )
        is not None
    ):
        raise Conflict("other_package", f"{app.name} is {pinned} on {platform.label}, not {package_id}.")


def pin_package(
    session: Session, actor: Actor, app: App, platform: Platform, package_id: str, *, now: datetime
) -> None:
    """Remember the package id of the app's first build. Later builds must have the same.

    Raises `Conflict` when another one is pinned and the app has versions with it.
    """
    row = next(p for p in app.platforms if p.platform == platform)
    before = row.package_id
    if before == package_id:
        return
    check_package(session, app, platform, package_id)
    # Two first builds at once: only one of them may say what the app is.
    if not compare_and_set(
        session, AppPlatform, {"id": row.id}, {"package_id": before}, {"package_id": package_id}
    ):
        if app.package_id(platform) == package_id:
            return
        raise Conflict(
            "other_package",
            f"{app.name} became {app.package_id(platform)} on {platform.label} at the same moment.",
        )
    subject = ("app", app.id)
    audit.record(
        session,
        actor,
        "app.package_pinned",
        subject,
        now=now,
        app_id=app.id,
        before={platform: before},
        after={platform: package_id},
    )


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 120:
        raise Invalid("bad_name", "An app needs a name of 1 to 120 characters.", field="name")
    return name
