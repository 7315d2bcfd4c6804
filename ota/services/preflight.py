"""What stands between a version and its devices, looked at before it is published."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.core import preflight
from ota.core.lifecycle import LIVE_STATES
from ota.core.preflight import Check, Situation, Verdict
from ota.db import compare_and_set
from ota.errors import Conflict
from ota.models import AppPlatform, Artifact, Channel, Release, Version
from ota.services import audit, builds, devices, versions
from ota.services.audit import Actor


def examine(session: Session, version: Version, channel: Channel, *, is_https: bool, now: datetime) -> list[Check]:
    """The list for this version on this channel, as `ota.core.preflight.examine` makes it."""
    app, build = version.app, builds.build_of(version)
    before = _before(session, version, channel)
    signer = app.signer(version.platform)
    situation = Situation(
        package_id=app.package_id(version.platform),
        signer=signer,
        signer_version=signed_by(session, version.app_id, version.platform, signer),
        before=builds.build_of(before) if before else None,
        fleet=devices.fleet(session, app, build, now=now),
        allows_debuggable=app.allows_debuggable,
        is_https=is_https,
    )
    return preflight.examine(build, situation, now)


def demand(session: Session, version: Version, channel: Channel, *, now: datetime, only: frozenset[str] | None = None) -> None:
    """Raises `Conflict` (``preflight_blocked``) with the whole list when one of the checks blocks.

    ``only`` looks at those checks alone, for a release that already stands.
    """
    checks = examine(session, version, channel, is_https=True, now=now)
    blocking = [check for check in checks if check.verdict is Verdict.BLOCK and (only is None or check.name in only)]
    if blocking:
        raise Conflict(
            "preflight_blocked",
            f"Version {version.version} can't be published. " + " ".join(check.message for check in blocking),
            checks=[{"name": check.name, "verdict": check.verdict, "message": check.message} for check in checks],
            current=versions.summary(version),
        )


def pin_signer(session: Session, actor: Actor, version: Version, *, now: datetime) -> None:
    """From now on the app's builds on this platform must be of this version's signer, or prove that they follow it.

    Raises `Conflict` when another signer was pinned at the same moment.
    """
    if version.artifact is None:
        return
    row = next(each for each in version.app.platforms if each.platform == version.platform)
    before, signer = row.signer, version.artifact.signer
    if before == signer:
        return
    if not compare_and_set(session, AppPlatform, {"id": row.id}, {"signer": before}, {"signer": signer}):
        raise Conflict(
            "preflight_blocked",
            "A build of another signer was published at the same moment. Look again.",
            current=versions.summary(version),
        )
    audit.record(
        session, actor, "app.signer_pinned", ("app", version.app_id), now=now, app_id=version.app_id,
        before={version.platform: before}, after={version.platform: signer},
    )  # fmt: skip


def signed_by(session: Session, app_id: int, platform: str, signer: str | None) -> str | None:
    """The name of the last published version of this signer, for a sentence."""
    query = (
        select(Version.version)
        .join(Version.artifact)
        .where(Version.app_id == app_id, Version.platform == platform, Artifact.signer == signer, Version.published_at.is_not(None))
        .order_by(Version.version_code.desc())
    )
    return session.scalar(query.limit(1)) if signer else None


def _before(session: Session, version: Version, channel: Channel) -> Version | None:
    """What the channel offers with the highest code besides this one; else what was published last."""
    others = select(Version).where(Version.app_id == version.app_id, Version.platform == version.platform, Version.id != version.id)
    stands = others.join(Version.releases).where(Release.channel_id == channel.id, Release.state.in_(LIVE_STATES))
    live = session.scalar(stands.order_by(Version.version_code.desc()).limit(1))
    if live is not None:
        return live
    return session.scalar(others.where(Version.published_at.is_not(None)).order_by(Version.published_at.desc(), Version.id.desc()).limit(1))
