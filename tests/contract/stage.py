"""Writes a row of the contract to the database, with the verbs that people and programs use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy.orm import Session

from ota.apps import apps, channels, kill_switch, trust
from ota.builds import pipeline, versions
from ota.builds.pipeline import Measured
from ota.builds.versions import VersionDraft
from ota.clock import utcnow
from ota.config import Settings
from ota.core.experiments import Arm
from ota.core.lifecycle import ReleaseState
from ota.core.platforms import Platform, Scheme
from ota.core.rollout import FULL
from ota.core.signers import SignerRange
from ota.db import transaction
from ota.devices import devices, group_members, groups
from ota.experiments import experiments
from ota.history.audit import SYSTEM
from ota.models import App, Artifact, Release, Version
from ota.packages import PackageFacts
from ota.packages.facts import Signature
from ota.parts import part
from ota.releases import acts as release_acts
from ota.releases.terms import Terms
from tests.contract.rows import APP, CHANNELS, GROUPS, SALT, Case, R

OTHER_DEVICE = "somebody-else"
"""A device that is in every group."""


def put(case: Case, slug: str) -> None:
    """Create an app with all that the case has."""
    with transaction() as session:
        now = utcnow()
        app = apps.create(session, SYSTEM, slug=slug, name=case.name[:60], now=now)
        if (
            case.channel != "stable"
            or any(release.channel != "stable" for release in case.releases)
            or case.shut_off
        ):
            for name, fallbacks in CHANNELS.items():
                if name != "stable":
                    channels.create(session, SYSTEM, app, name=name, falls_back_to=fallbacks, now=now)
        if any(release.groups for release in case.releases):
            _make_groups(session, app, case, now)
        for release in case.releases:
            if release.arm_from is None:
                _end(session, _start(session, app, release, now), release, now)
        _experiment(session, app, [release for release in case.releases if release.arm_from is not None], now)
        for name in case.shut_off:
            kill_switch.shut_off(
                session, SYSTEM, app if name == APP else apps.find_channel(app, name), now=now
            )


def _make_groups(session: Session, app: App, case: Case, now: datetime) -> None:
    """Create the groups. Each has another member, so none is empty."""
    secret = part(Settings).secret_key
    for name in GROUPS:
        group = groups.create(session, SYSTEM, app, name=name, now=now)
        ids = [OTHER_DEVICE, *([case.device] if case.device and name in case.groups else [])]
        group_members.add(
            session, SYSTEM, group, ids, hashed=lambda each: devices.hashed(secret, each), now=now
        )


def _start(session: Session, app: App, release: R, now: datetime) -> Release:
    version = _version(session, app, release, now)
    terms = Terms(
        groups=release.groups,
        critical_from=release.critical_from,
        critical_below=release.critical_below,
        is_floor=release.floor,
        mandatory_from=None
        if release.mandatory_in is None
        else now + timedelta(seconds=release.mandatory_in),
    )
    # Verbs refuse a partial floor, but the contract covers it: open it fully, then set the rollout.
    rollout = FULL if release.floor else release.rollout
    row = release_acts.start(
        session, SYSTEM, version, channel=release.channel, rollout=rollout, terms=terms, now=now
    )
    row.rollout = release.rollout
    return row


def _end(session: Session, row: Release, release: R, now: datetime) -> None:
    """Set the state, salt and start of the table. No verb accepts a salt, or a start in the past."""
    if release.state != "active":
        release_acts.change_state(session, SYSTEM, row, ReleaseState(release.state), now=now)
    row.salt, row.starts_at = SALT, now + timedelta(seconds=release.starts_in)
    session.flush()


def _experiment(session: Session, app: App, arms: Sequence[R], now: datetime) -> None:
    if not arms:
        return
    weights = tuple(Arm(_version(session, app, arm, now).id, arm.rollout) for arm in arms)
    found = experiments.start(
        session, SYSTEM, app.id, experiments.Draft(name="Colours", arms=weights), now=now
    )
    session.flush()
    session.refresh(found)
    assert [arm.bucket_from for arm in found.arms] == [arm.arm_from for arm in arms]
    for row, arm in zip(found.arms, arms, strict=True):
        _end(session, row, arm, now)


def _version(session: Session, app: App, release: R, now: datetime) -> Version:
    platform = Platform(release.platform)
    there = versions.find_by_code(session, app, platform, release.code)
    if there is not None:
        return there
    draft = VersionDraft(
        platform=platform,
        version=release.version,
        version_code=release.code,
        is_mandatory=release.mandatory,
        min_supported_version=release.minimum,
        min_sdk=release.min_sdk,
        min_os=release.min_os,
        abis=release.abis,
        download_url="https://files.example.com/a.apk",
        checksum="ab" * 32,
    )
    artifact = _artifact(session, app, release, now) if release.signer else None
    return versions.add(session, SYSTEM, app, draft, artifact=artifact, now=now)


def _artifact(session: Session, app: App, release: R, now: datetime) -> Artifact:
    """Store an artifact as the pipeline does. An administrator allows a changed signer first."""
    platform, signer = Platform(release.platform), release.signer or ""
    if app.on(platform).signer is not None:
        trust.forget_signer(session, SYSTEM, app, platform, now=now)
        session.refresh(app.on(platform))
    ranges = (SignerRange(0, signer, (release.follows,) if release.follows else ()),)
    facts = PackageFacts(
        platform=platform,
        package_id="com.example.app",
        version=release.version,
        version_code=release.code,
        signature=Signature(scheme=Scheme.V3, signer=signer, ranges=ranges),
    )
    return pipeline.store_artifact(
        session, Measured(sha256(f"{app.slug} {release.code}".encode()).hexdigest(), 1_000), facts, now=now
    )
