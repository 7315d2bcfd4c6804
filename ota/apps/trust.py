"""What an app lets in: the exceptions that its administrators make, and the signer it is held to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from ota.core.platforms import Platform
from ota.db import compare_and_set
from ota.errors import Conflict, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, AppPlatform


def allow(
    session: Session,
    actor: Actor,
    app: App,
    *,
    v1_only: bool,
    debuggable: bool,
    external: bool,
    revision: int,
    now: datetime,
) -> None:
    """Let in, or no longer, builds signed with scheme v1 alone, debug builds, and files that live elsewhere.

    Raises `Conflict` for a stale ``revision``.
    """
    exceptions = ("allows_v1_only", "allows_debuggable", "allows_external")
    before = {name: getattr(app, name) for name in exceptions}
    after = dict(zip(exceptions, (v1_only, debuggable, external), strict=True))
    if not compare_and_set(
        session, App, {"id": app.id}, {"revision": revision}, {**after, "revision": revision + 1}
    ):
        raise Stale("Somebody changed this app meanwhile. Look again, then decide.")
    if before != after:
        audit.record(
            session,
            actor,
            "app.trust_changed",
            ("app", app.id),
            now=now,
            app_id=app.id,
            before=before,
            after=after,
        )


def keep_devices(
    session: Session, actor: Actor, app: App, *, keeps: bool, revision: int, now: datetime
) -> None:
    """Keep something of single devices from now on, or nothing but counts. Raises `Conflict` for a stale ``revision``."""
    before = app.keeps_devices
    if not compare_and_set(
        session,
        App,
        {"id": app.id},
        {"revision": revision},
        {"keeps_devices": keeps, "revision": revision + 1},
    ):
        raise Stale("Somebody changed this app meanwhile. Look again, then decide.")
    if before != keeps:
        was, after = {"keeps_devices": before}, {"keeps_devices": keeps}
        audit.record(
            session,
            actor,
            "app.keeping_changed",
            ("app", app.id),
            now=now,
            app_id=app.id,
            before=was,
            after=after,
        )


def forget_signer(session: Session, actor: Actor, app: App, platform: Platform, *, now: datetime) -> None:
    """Let the next published build say who signs. Phones still refuse a build of another signer: for an app that starts anew.

    Raises `Conflict` when no signer is pinned.
    """
    row = app.on(platform)
    before = row.signer
    if before is None or not compare_and_set(
        session, AppPlatform, {"id": row.id}, {"signer": before}, {"signer": None, "signer_history": None}
    ):
        raise Conflict("no_signer", f"No signer is pinned for {app.name} on {platform.label}.")
    audit.record(
        session,
        actor,
        "app.signer_forgotten",
        ("app", app.id),
        now=now,
        app_id=app.id,
        before={platform: before},
        after={platform: "none"},
    )
