"""Signers of an app's published versions."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.core.signers import Signers
from ota.models import AppPlatform, Artifact, Version


def signers_of(row: AppPlatform) -> tuple[Signers, ...]:
    """Return the signers of everything that was published of the app on this platform."""
    return msgspec.json.decode(row.signer_history, type=tuple[Signers, ...]) if row.signer_history else ()


def signed_versions(session: Session, app_id: int, platform: str) -> dict[str, str]:
    """Return the name of the last published version of each signer, for messages."""
    query = (
        select(Artifact.signer, Version.version)
        .join(Version, Version.artifact_id == Artifact.id)
        .where(Version.app_id == app_id, Version.platform == platform, Version.published_at.is_not(None))
        .order_by(Version.version_code)
    )
    # The last version of each signer wins.
    return {signer: version for signer, version in session.execute(query)}  # noqa: C416
