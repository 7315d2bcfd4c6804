"""Reads the rows that can be offered into the catalogs that `ota.core.decision` works on."""

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
from ota.core.platforms import abi_names
from ota.core.signers import Signers, break_in
from ota.db import before_commit
from ota.models import App, Artifact, Channel, Release, Version
from ota.models.apps import channel_fallbacks
from ota.models.releases import release_groups

TOUCHED = "touch"
"""Kind of the `ota.db.before_commit` keys that mark a transaction as one that changed catalogs."""


def load(
    session: Session,
    channel_id: int,
    platform: str,
    *,
    without_version: int | None = None,
    at: datetime | None = None,
) -> Catalog:
    """Return the live releases of a channel and its fallbacks on one platform.

    With ``at``, releases that cannot change any answer from that time on are left out. Only live releases are
    read, so a long history costs nothing. ``without_version`` is the id of a version to leave out.
    """
    channel = session.get_one(Channel, channel_id)
    app_id = channel.app_id
    is_app_off = session.scalar(select(App.is_shut_off).where(App.id == app_id))
    channels = followed(channel_id, fallbacks(session, app_id), _channels_shut_off(session, app_id))
    rows = _live(session, channels, platform, without_version)
    return Catalog.of(
        _candidates(session, rows, app_id, platform),
        is_shut_off=bool(is_app_off) or channel.is_shut_off,
        withdrawn=_withdrawn(session, app_id, platform),
        in_use=[row.version for row in rows],
        at=at,
    )


def touch(session: Session, app_id: int) -> None:
    """Make every web process read the app's catalogs again once this transaction is committed."""

    def raise_revision() -> None:
        session.execute(
            update(App).where(App.id == app_id).values(catalog_revision=App.catalog_revision + 1),
            execution_options={"synchronize_session": False},
        )

    # Last, and in the order of the apps, so that two transactions never wait for each other.
    before_commit(session, (TOUCHED, app_id), raise_revision)


def fallbacks(session: Session, app_id: int) -> Mapping[int, Sequence[int]]:
    """Return the ids of the fallbacks of each channel of the app that has any."""
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
    """Return a release, saved or not, as the decision sees it. ``groups`` are ids of device groups."""
    signers = _signers_by_code(session, version.app_id, version.platform)
    return _candidate(release, release.id or 0, version, version.id, channel.name, groups, signers)


def _candidate(
    release: Any,
    release_id: int,
    version: Any,
    version_id: int,
    channel: str,
    groups: Iterable[int],
    signers: Mapping[int, Signers],
) -> Candidate:
    """Make a candidate of a release and its version: two objects, or one row of `_live` for both.

    Previews pass objects and answers pass rows. No other place lists the fields, so the two cannot differ.
    A release that is not in the database yet has None where its column has a default.
    """
    return Candidate(
        release_id=release_id,
        version_id=version_id,
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
        abis=abi_names(version.abis),
        refused_on=_refused_on(signers, version.version_code),
        channel=channel,
    )


def _live(
    session: Session, channels: Sequence[int], platform: str, without_version: int | None
) -> Sequence[Any]:
    # Columns and not objects: loading these rows is what every web process waits for after a change.
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
    groups = _groups_by_release(session, app_id) if rows else {}
    signers = _signers_by_code(session, app_id, platform)
    return [
        _candidate(
            row, row.release_id, row, row.version_id, row.channel, groups.get(row.release_id, ()), signers
        )
        for row in rows
    ]


def _groups_by_release(session: Session, app_id: int) -> Mapping[int, set[int]]:
    """Return the ids of the device groups that each live release of the app is open to."""
    found: dict[int, set[int]] = defaultdict(set)
    query = (
        select(release_groups)
        .join(Release, Release.id == release_groups.c.release_id)
        .join(Release.version)
        .where(Version.app_id == app_id, Release.state.in_(LIVE_STATES))
    )
    for release_id, group_id in session.execute(query):
        found[release_id].add(group_id)
    return found


def _channels_shut_off(session: Session, app_id: int) -> Sequence[int]:
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
    """Return the signers of each version by version code, or nothing if all have the same one.

    Nearly all apps have one signer, and for them the facts of their builds are not read.
    """
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
    return msgspec.convert(facts["signature"]["ranges"], Signers)


def _refused_on(signers: Mapping[int, Signers], version_code: int) -> frozenset[int]:
    """Return the older version codes on which a phone refuses this version because its signer changed."""
    own = signers.get(version_code)
    if own is None:
        return frozenset()
    return frozenset(
        code for code, theirs in signers.items() if code < version_code and break_in([theirs], own)
    )
