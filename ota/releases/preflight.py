"""The preflight: checks before a version is published, and again before a live release is opened further."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.builds import facts as build_facts
from ota.builds import signers, version_edits, versions
from ota.core import preflight
from ota.core.lifecycle import LIVE_STATES
from ota.core.preflight import ActiveDevices, CheckVerdict, PreflightCheck, Situation
from ota.db import compare_and_set
from ota.devices import devices
from ota.errors import Conflict
from ota.history import audit
from ota.history.audit import Actor
from ota.models import AppPlatform, Channel, Release, Version

STILL_DEMANDED = frozenset({"file", "profile", "debuggable", "package_id", "signature"})
"""Checks whose verdict can change while a release is live."""


def examine(
    session: Session, version: Version, channel: Channel, *, is_https: bool, now: datetime
) -> list[PreflightCheck]:
    """Return every check of a version on a channel. Verdicts name the active devices that they concern."""
    fleet = devices.fleet(session, version.app, build_facts.build_of(version), now=now)
    return preflight.examine(
        build_facts.build_of(version), _situation(session, version, channel, fleet, is_https), now
    )


def demand(
    session: Session, version: Version, channel: Channel, *, now: datetime, only: frozenset[str] | None = None
) -> None:
    """Raise `Conflict` (``preflight_blocked``) with the checks that block, if any does.

    ``only`` names the checks to apply.
    """
    situation = _situation(session, version, channel, ActiveDevices(), is_https=True)
    checks = preflight.examine(build_facts.build_of(version), situation, now)
    blocking = [
        check
        for check in checks
        if check.verdict is CheckVerdict.BLOCK and (only is None or check.name in only)
    ]
    if blocking:
        raise Conflict(
            "preflight_blocked",
            f"Version {version.version} can't be published. " + " ".join(check.message for check in blocking),
            checks=[
                {"name": check.name, "verdict": check.verdict, "message": check.message} for check in blocking
            ],
            current=versions.summary(version),
        )


def recheck(session: Session, release: Release, *, now: datetime) -> None:
    """Raise as `demand` if a live release could not be published today. Run before it is opened further."""
    demand(session, release.version, release.channel, now=now, only=STILL_DEMANDED)


def activate(
    session: Session, actor: Actor, version: Version, channel: Channel, *, revision: int | None, now: datetime
) -> None:
    """Check a version, mark it active and pin its signer.

    Raises `Conflict` as `demand`, and for a stale ``revision``.
    """
    values: dict[str, Any] = {"is_active": True, "withdrawn_at": None}
    if version.published_at is None:
        values["published_at"] = now
    demand(session, version, channel, now=now)
    version_edits.advance(session, version, revision, values)
    pin_signer(session, actor, version, now=now)


def pin_signer(session: Session, actor: Actor, version: Version, *, now: datetime) -> None:
    """Hold the app's later builds on this platform to the signer of this version, or to its successors."""
    facts = build_facts.facts_of(version)
    if facts is None:
        return
    row = version.app.on(version.platform)
    known, signer = signers.signers_of(row), facts.signature.signer
    kept = known if facts.signature.ranges in known else (*known, facts.signature.ranges)
    values = {"signer": signer, "signer_history": msgspec.json.encode(kept).decode()}
    before = row.signer
    # Written even if nothing changes, so that a change between the preflight and this commit is noticed.
    if not compare_and_set(
        session, AppPlatform, {"id": row.id}, {"signer_history": row.signer_history}, values
    ):
        raise Conflict(
            "preflight_blocked",
            "Another build was published at the same moment. Look again.",
            current=versions.summary(version),
        )
    if before != signer:
        audit.record(
            session,
            actor,
            "app.signer_pinned",
            ("app", version.app_id),
            now=now,
            app_id=version.app_id,
            before={version.platform: before},
            after={version.platform: signer},
        )


def _situation(
    session: Session, version: Version, channel: Channel, fleet: ActiveDevices, is_https: bool
) -> Situation:
    app, before = version.app, _before(session, version, channel)
    return Situation(
        package_id=app.package_id(version.platform),
        signers=signers.signers_of(app.on(version.platform)),
        signed_versions=signers.signed_versions(session, version.app_id, version.platform),
        before=build_facts.build_of(before) if before else None,
        fleet=fleet,
        allows_debuggable=app.allows_debuggable,
        allows_external=app.allows_external,
        is_https=is_https and (version.is_hosted_here or version.download_url.startswith("https://")),
    )


def _before(session: Session, version: Version, channel: Channel) -> Version | None:
    """Return the channel's live version with the highest code, or the one published last.

    The given version is left out.
    """
    others = select(Version).where(
        Version.app_id == version.app_id, Version.platform == version.platform, Version.id != version.id
    )
    live = others.join(Version.releases).where(
        Release.channel_id == channel.id, Release.state.in_(LIVE_STATES)
    )
    newest = session.scalar(live.order_by(Version.version_code.desc()).limit(1))
    if newest is not None:
        return newest
    return session.scalar(
        others.where(Version.published_at.is_not(None))
        .order_by(Version.published_at.desc(), Version.id.desc())
        .limit(1)
    )
