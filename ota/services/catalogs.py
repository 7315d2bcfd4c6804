"""From rows to the catalog that `ota.core.decision` works on."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.core.decision import Candidate, Catalog
from ota.core.lifecycle import LIVE_STATES, ReleaseState
from ota.models import Release, Version


def load(session: Session, channel_id: int, platform: str, *, without_version: int | None = None) -> Catalog:
    """The live releases of one channel on one platform. History costs nothing: only what stands is read."""
    query = (
        select(
            Release.id, Release.rollout, Release.salt, Release.state, Release.starts_at,
            Version.id, Version.version, Version.version_code, Version.is_mandatory, Version.min_supported_version,
        )
        .join(Release.version)
        .where(Release.channel_id == channel_id, Release.platform == platform, Release.state.in_(LIVE_STATES))
    )  # fmt: skip
    if without_version is not None:
        query = query.where(Version.id != without_version)
    return Catalog.of(
        Candidate(
            release_id=release_id, version_id=version_id, version=version, version_code=version_code, rollout=rollout,
            salt=salt, state=ReleaseState(state), is_mandatory=is_mandatory, min_supported_version=min_supported,
            starts_at=starts_at,
        )
        for release_id, rollout, salt, state, starts_at, version_id, version, version_code, is_mandatory, min_supported
        in session.execute(query)
    )  # fmt: skip
