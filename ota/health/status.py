"""The state of a release's health: what the tests found, or why they have judged no device yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ota.devices import devices
from ota.health.policy import WATCHED_FOR, rules_of
from ota.models import Release, ReleaseDevice, ReleaseHealth


class HealthState(StrEnum):
    """In the order in which they are tried."""

    FOUND_BAD = "found_bad"
    KEEPS_NO_DEVICES = "keeps_no_devices"
    SUSPECT = "suspect"
    NOTHING_FOUND = "nothing_found"
    ENDED_TOO_EARLY = "ended_too_early"
    NOT_WATCHED = "not_watched"
    """It has long been open to all devices."""
    TOO_EARLY = "too_early"


@dataclass(frozen=True, slots=True)
class FirstDevices:
    """The devices that a test which has judged none yet waits for.

    ``is_new_test``: a person resumed the release, or began a new test, at ``since``. ``judged_from`` is when
    the reports of the first device have settled, None without devices. ``running``: devices that run the
    version and were not offered it by this release, counted only if there is no other.
    """

    is_new_test: bool
    since: datetime
    enrolled: int
    judged_from: datetime | None
    running: int


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """``row`` has the findings, if there are any; ``first`` is set while it is too early."""

    state: HealthState
    row: ReleaseHealth | None
    first: FirstDevices | None = None


def status_of(session: Session, release: Release, *, now: datetime) -> HealthStatus:
    """Return what is known of the release's health."""
    row = session.get(ReleaseHealth, release.id)
    state = _state(release, row, now)
    first = _first_devices(session, release, row, now) if state is HealthState.TOO_EARLY else None
    return HealthStatus(state, row, first)


def _state(release: Release, row: ReleaseHealth | None, now: datetime) -> HealthState:
    if row is not None and row.is_bad:
        return HealthState.FOUND_BAD
    if not release.version.app.keeps_devices:
        return HealthState.KEEPS_NO_DEVICES
    if row is not None and row.is_suspect and release.is_live:
        return HealthState.SUSPECT
    if row is not None and any(each["rollout"] for each in row.tests):
        return HealthState.NOTHING_FOUND
    if not release.is_live:
        return HealthState.ENDED_TOO_EARLY
    if release.full_since is not None and release.full_since <= now - WATCHED_FOR:
        return HealthState.NOT_WATCHED
    return HealthState.TOO_EARLY


def _first_devices(
    session: Session, release: Release, row: ReleaseHealth | None, now: datetime
) -> FirstDevices:
    is_new_test = row is not None and row.since > release.starts_at
    since = row.since if row is not None else release.starts_at
    query = select(func.min(ReleaseDevice.enrolled_at), func.count()).where(
        ReleaseDevice.release_id == release.id,
        ReleaseDevice.enrolled_at >= since,
        ReleaseDevice.is_control.is_(False),
    )
    first, enrolled = session.execute(query).one()
    settling = rules_of(session, release.version.app_id).policy.settling
    return FirstDevices(
        is_new_test=is_new_test,
        since=since,
        enrolled=enrolled,
        judged_from=None if first is None else first + settling,
        running=0 if enrolled or is_new_test else devices.stranded(session, release.version, now=now),
    )
