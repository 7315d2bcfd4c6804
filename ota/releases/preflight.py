"""What stands between a version and its devices, looked at before it is published."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.builds import facts as build_facts
from ota.builds import signers, versions
from ota.core import preflight
from ota.core.lifecycle import LIVE_STATES
from ota.core.preflight import Check, Fleet, Situation, Verdict
from ota.db import compare_and_set
from ota.devices import devices
from ota.errors import Conflict
from ota.history import audit
from ota.history.audit import Actor
from ota.models import AppPlatform, Channel, Release, Version

STILL_DEMANDED = frozenset({"file", "profile", "debuggable", "package_id", "signature"})
"""Checks that can go bad while a release stands: asked again before it is offered to more devices."""


def examine(
    session: Session, version: Version, channel: Channel, *, is_https: bool, now: datetime
) -> list[Check]:
    """The list for this version on this channel, as `ota.core.preflight.examine` makes it, with the devices counted."""
    fleet = devices.fleet(session, version.app, build_facts.build_of(version), now=now)
    return preflight.examine(
        build_facts.build_of(version), _situation(session, version, channel, fleet, is_https), now
    )


def demand(
    session: Session, version: Version, channel: Channel, *, now: datetime, only: frozenset[str] | None = None
) -> None:
    """Raises `Conflict` (``preflight_blocked``) with the checks that block, when one does.

    ``only`` looks at those checks alone, for a release that already stands.
    """
    situation = _situation(session, version, channel, Fleet(), is_https=True)
    checks = preflight.examine(build_facts.build_of(version), situation, now)
    blocking = [
        check for check in checks if check.verdict is Verdict.BLOCK and (only is None or check.name in only)
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


def pin_signer(session: Session, actor: Actor, version: Version, *, now: datetime) -> None:
    """From now on the app's builds on this platform must be of this version's signer too, or prove that they follow it.

    Raises `Conflict` when another build was published at the same moment.
    """
    facts = build_facts.facts_of(version)
    if facts is None:
        return
    row = version.app.on(version.platform)
    known, signer = signers.signers_of(row), facts.signature.signer
    kept = known if facts.signature.ranges in known else (*known, facts.signature.ranges)
    values = {"signer": signer, "signer_history": msgspec.json.encode(kept).decode()}
    before = row.signer
    # Also when nothing changes: whoever changes it between the preflight and this commit is noticed.
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
    session: Session, version: Version, channel: Channel, fleet: Fleet, is_https: bool
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
    """What the channel offers with the highest code besides this one; else what was published last."""
    others = select(Version).where(
        Version.app_id == version.app_id, Version.platform == version.platform, Version.id != version.id
    )
    stands = others.join(Version.releases).where(
        Release.channel_id == channel.id, Release.state.in_(LIVE_STATES)
    )
    live = session.scalar(stands.order_by(Version.version_code.desc()).limit(1))
    if live is not None:
        return live
    return session.scalar(
        others.where(Version.published_at.is_not(None))
        .order_by(Version.published_at.desc(), Version.id.desc())
        .limit(1)
    )
