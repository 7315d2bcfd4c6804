"""A release as its terms describe it, before it is in the database."""

from __future__ import annotations

import secrets
from datetime import datetime

from sqlalchemy.orm import Session

from ota.core.lifecycle import ReleaseState
from ota.core.plans import next_step_at
from ota.devices import groups as device_groups
from ota.errors import Invalid, OtaError
from ota.models import Channel, Release, Version
from ota.releases import terms as release_terms
from ota.releases.rows import full_since
from ota.releases.terms import Terms


def draft_release(
    session: Session, version: Version, channel: Channel, rollout: int | None, terms: Terms, now: datetime
) -> Release:
    """Return a release that is not in the session yet.

    Raises `Invalid`, or `NotFound` for an unknown device group.
    """
    if version.checksum is None:
        raise missing_checksum()
    plan = release_terms.checked_plan(terms.plan)
    opened = release_terms.first_rollout(rollout, terms.plan)
    starts_at = release_terms.checked_start(terms.starts_at, now)
    critical_from, critical_below = release_terms.checked_bounds(terms.critical_from, terms.critical_below)
    device_groups.named(session, version.app, terms.groups)
    if terms.is_floor:
        release_terms.check_floor(opened, plan, starts_at, now)
    return Release(
        **full_since({"rollout": opened}, starts_at, now=now),
        channel_id=channel.id,
        version_id=version.id,
        platform=version.platform,
        state=ReleaseState.ACTIVE,
        rollout=opened,
        salt=new_salt(),
        starts_at=starts_at,
        plan=plan,
        plan_step=0 if plan else None,
        next_step_at=next_step_at(terms.plan, 0, starts_at) if plan else None,
        mandatory_from=terms.mandatory_from,
        critical_from=critical_from,
        critical_below=critical_below,
        is_floor=terms.is_floor,
    )


def new_salt() -> str:
    """Return a random salt. Each release has its own, so that each starts with different devices."""
    return secrets.token_hex(16)


def missing_checksum() -> OtaError:
    """Return the error for a version without a SHA-256, which cannot be offered."""
    return Invalid.about(
        "checksum",
        "checksum_missing",
        "a version without its file's SHA-256 can't be published, "
        "since devices could not tell a damaged file.",
    )
