"""What an app accepts: exceptions made by administrators, its pinned signer, and data about devices."""

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
    """Set which exceptions the app allows: builds signed with scheme v1 alone, debug builds, external files.

    Raises `Stale`.
    """
    values = {"allows_v1_only": v1_only, "allows_debuggable": debuggable, "allows_external": external}
    _set(session, actor, app, "app.trust_changed", values, revision, now)


def keep_devices(
    session: Session, actor: Actor, app: App, *, keeps: bool, revision: int, now: datetime
) -> None:
    """Set whether data about single devices is kept, or only counts. Raises `Stale`."""
    _set(session, actor, app, "app.keeping_changed", {"keeps_devices": keeps}, revision, now)


def forget_signer(session: Session, actor: Actor, app: App, platform: Platform, *, now: datetime) -> None:
    """Let the next published build pin its own signer. Phones still refuse a build of another signer.

    Raises `Conflict` (``no_signer``) if none is pinned.
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


def _set(
    session: Session,
    actor: Actor,
    app: App,
    action: str,
    values: dict[str, bool],
    revision: int,
    now: datetime,
) -> None:
    before = {name: getattr(app, name) for name in values}
    new_row = {**values, "revision": revision + 1}
    if not compare_and_set(session, App, {"id": app.id}, {"revision": revision}, new_row):
        raise Stale("Somebody changed this app meanwhile. Look again, then decide.")
    if before != values:
        subject = ("app", app.id)
        audit.record(session, actor, action, subject, now=now, app_id=app.id, before=before, after=values)
