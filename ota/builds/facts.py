"""Facts: values read from a version's file, stored with its artifact and compared between versions."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.core.build_facts import Build, Change, changes
from ota.core.platforms import Platform, Scheme
from ota.models import Artifact, Version
from ota.packages import BuildFacts, PackageFacts


def stored(facts: PackageFacts) -> dict[str, Any]:
    """Return the facts as an artifact's row stores them, without the icon."""
    kept: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(facts, icon=None))
    del kept["icon"]
    return kept


def facts_of(version: Version) -> BuildFacts | None:
    """Return the facts of the version's file; None for an external file."""
    return msgspec.convert(version.artifact.facts, BuildFacts) if version.artifact else None


def build_of(version: Version) -> Build:
    """Return the version as the rules of `ota.core` take it."""
    facts = facts_of(version)
    return Build(
        platform=Platform(version.platform),
        version=version.version,
        version_code=version.version_code,
        has_checksum=version.checksum is not None,
        package_id=version.package_id,
        size=version.file_size,
        **(_read_from(facts) if facts else {}),
    )


def _read_from(facts: BuildFacts) -> dict[str, Any]:
    signature, profile = facts.signature, facts.profile
    is_debug_signed = signature.certificate is not None and signature.certificate.is_debug
    return {
        "is_read": True,
        "scheme": Scheme(signature.scheme),
        "signer": signature.signer,
        "signers": signature.ranges,
        "is_debug_signed": facts.platform is Platform.ANDROID and is_debug_signed,
        "is_debuggable": facts.is_debuggable,
        "label": facts.label,
        "framework": " ".join(filter(None, (facts.framework, facts.framework_version))) or None,
        "min_sdk": facts.min_sdk,
        "target_sdk": facts.target_sdk,
        "abis": facts.abis,
        "permissions": facts.permissions,
        "minimum_os": facts.minimum_os,
        "profile_type": profile.type if profile else None,
        "profile_expires_at": profile.expires_at if profile else None,
        "profile_devices": profile.devices if profile else (),
    }


def predecessor(session: Session, version: Version) -> Version | None:
    """Return the version with the next lower code whose file this server has read."""
    query = select(Version).where(
        Version.app_id == version.app_id,
        Version.platform == version.platform,
        Version.version_code < version.version_code,
        Version.artifact_id.is_not(None),
    )
    return session.scalar(query.order_by(Version.version_code.desc()).limit(1))


def changes_since(before: Version, version: Version) -> list[Change]:
    """Return the differences between two versions whose files this server has read."""
    return changes(build_of(before), build_of(version))


def has_icon(session: Session, version: Version) -> bool:
    """Return whether the build has an icon, without loading it."""
    return bool(session.scalar(select(Artifact.icon.is_not(None)).where(Artifact.id == version.artifact_id)))
