"""From rows to the catalog that `ota.core.decision` works on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ota.core.catalog import Candidate, Catalog
from ota.core.channels import followed
from ota.core.lifecycle import LIVE_STATES, ReleaseState
from ota.core.signers import Signers, break_in
from ota.db import before_commit
from ota.models import App, Artifact, Channel, Release, Version
from ota.models.apps import channel_fallbacks
from ota.models.releases import release_groups

TOUCHED = "touch"
"""The kind of the key by which `ota.db` tells that a transaction touched a catalog."""


def load(
    session: Session,
    channel_id: int,
    platform: str,
    *,
    without_version: int | None = None,
    at: datetime | None = None,
) -> Catalog:
    """The live releases that devices of one channel are offered on one platform, those of its fallbacks too.

    With ``at`` it is reduced to what can matter from then on. History costs nothing: only what stands is read.
    """
    channel = session.get_one(Channel, channel_id)
    app_id, is_app_off = (
        channel.app_id,
        session.scalar(select(App.is_shut_off).where(App.id == channel.app_id)),
    )
    channels = followed(channel_id, fallbacks(session, app_id), _shut_off(session, app_id))
    rows = _live(session, channels, platform, without_version)
    return Catalog.of(
        _candidates(session, rows, app_id, platform),
        is_shut_off=bool(is_app_off) or channel.is_shut_off,
        withdrawn=_withdrawn(session, app_id, platform),
        in_use=[row.version for row in rows],
        at=at,
    )


def touch(session: Session, app_id: int) -> None:
    """Say that answers to the app's devices may change with this transaction: every process reads its catalogs again."""

    def grow() -> None:
        session.execute(
            update(App).where(App.id == app_id).values(catalog_revision=App.catalog_revision + 1),
            execution_options={"synchronize_session": False},
        )

    # As the last thing, so that whoever changes two apps, or an app and its rows, never waits for another in a circle.
    before_commit(session, (TOUCHED, app_id), grow)


def fallbacks(session: Session, app_id: int) -> Mapping[int, Sequence[int]]:
    """For each channel of the app the ids of those that it falls back to."""
    found: dict[int, list[int]] = defaultdict(list)
    query = (
        select(channel_fallbacks)
        .join(Channel, Channel.id == channel_fallbacks.c.channel_id)
        .where(Channel.app_id == app_id)
    )
    for channel_id, fallback_id in session.execute(query):
        found[channel_id].append(fallback_id)
    return found


def candidate_of(
    session: Session, release: Release, version: Version, channel: Channel, groups: Iterable[int] = ()
) -> Candidate:
    """One release as the decision sees it, also before it is in the database. ``groups`` are the ids of those it is open to."""
    signers = _signers_by_code(session, version.app_id, version.platform)
    return Candidate(
        release_id=release.id or 0,
        version_id=version.id,
        version=version.version,
        version_code=version.version_code,
        rollout=release.rollout,
        salt=release.salt,
        state=ReleaseState(release.state),
        is_mandatory=version.is_mandatory,
        min_supported_version=version.min_supported_version,
        starts_at=release.starts_at,
        bucket_from=release.bucket_from or 0,
        is_arm=release.experiment_id is not None,
        groups=frozenset(groups),
        mandatory_from=release.mandatory_from,
        critical_from=release.critical_from,
        critical_below=release.critical_below,
        is_floor=bool(release.is_floor),
        min_sdk=version.min_sdk,
        min_os=version.min_os,
        abis=_abis(version.abis),
        refused_on=_refused_on(signers, version.version_code),
        channel=channel.name,
    )


def _live(
    session: Session, channels: Sequence[int], platform: str, without_version: int | None
) -> Sequence[Any]:
    query = (
        select(
            Release.id.label("release_id"),
            Release.rollout,
            Release.salt,
            Release.state,
            Release.starts_at,
            Release.bucket_from,
            Release.experiment_id,
            Release.mandatory_from,
            Release.critical_from,
            Release.critical_below,
            Release.is_floor,
            Version.id.label("version_id"),
            Version.version,
            Version.version_code,
            Version.is_mandatory,
            Version.min_supported_version,
            Version.min_sdk,
            Version.min_os,
            Version.abis,
            Channel.name.label("channel"),
        )
        .join(Release.version)
        .join(Release.channel)
        .where(Release.channel_id.in_(channels), Release.platform == platform, Release.state.in_(LIVE_STATES))
    )
    if without_version is not None:
        query = query.where(Version.id != without_version)
    return session.execute(query).all()


def _candidates(session: Session, rows: Sequence[Any], app_id: int, platform: str) -> list[Candidate]:
    groups: dict[int, set[int]] = defaultdict(set)
    if rows:
        named = (
            select(release_groups)
            .join(Release, Release.id == release_groups.c.release_id)
            .join(Release.version)
        )
        for release_id, group_id in session.execute(
            named.where(Version.app_id == app_id, Release.state.in_(LIVE_STATES))
        ):
            groups[release_id].add(group_id)
    signers = _signers_by_code(session, app_id, platform)
    return [
        Candidate(
            release_id=row.release_id,
            version_id=row.version_id,
            version=row.version,
            version_code=row.version_code,
            rollout=row.rollout,
            salt=row.salt,
            state=ReleaseState(row.state),
            is_mandatory=row.is_mandatory,
            min_supported_version=row.min_supported_version,
            starts_at=row.starts_at,
            bucket_from=row.bucket_from,
            is_arm=row.experiment_id is not None,
            groups=frozenset(groups.get(row.release_id, ())),
            mandatory_from=row.mandatory_from,
            critical_from=row.critical_from,
            critical_below=row.critical_below,
            is_floor=row.is_floor,
            min_sdk=row.min_sdk,
            min_os=row.min_os,
            abis=_abis(row.abis),
            refused_on=_refused_on(signers, row.version_code),
            channel=row.channel,
        )
        for row in rows
    ]


def _shut_off(session: Session, app_id: int) -> Sequence[int]:
    return session.scalars(select(Channel.id).where(Channel.app_id == app_id, Channel.is_shut_off)).all()


def _withdrawn(session: Session, app_id: int, platform: str) -> list[tuple[int, str]]:
    query = select(Version.version_code, Version.version).where(
        Version.app_id == app_id,
        Version.platform == platform,
        Version.withdrawn_at.is_not(None),
        Version.is_active.is_(False),
    )
    return [(code, name) for code, name in session.execute(query)]


def _signers_by_code(session: Session, app_id: int, platform: str) -> Mapping[int, Signers]:
    """Who signed each version; empty where all were signed by the same, which is what nearly always holds and costs nothing."""
    of_app = (Version.app_id == app_id, Version.platform == platform)
    different = session.scalars(
        select(Artifact.signer).join(Version, Version.artifact_id == Artifact.id).where(*of_app).distinct()
    ).all()
    if len(different) < 2:
        return {}
    query = (
        select(Version.version_code, Artifact.facts)
        .join(Artifact, Version.artifact_id == Artifact.id)
        .where(*of_app)
    )
    return {code: _signers_in(facts) for code, facts in session.execute(query)}


def _signers_in(facts: dict[str, Any]) -> Signers:
    """Who signed the file that these stored facts are about."""
    return msgspec.convert(facts["signature"]["ranges"], Signers)


def _refused_on(signers: Mapping[int, Signers], version_code: int) -> frozenset[int]:
    own = signers.get(version_code)
    if own is None:
        return frozenset()
    return frozenset(
        code for code, theirs in signers.items() if code < version_code and break_in([theirs], own)
    )


def _abis(text: str | None) -> frozenset[str]:
    return frozenset(text.split(",")) if text else frozenset()
