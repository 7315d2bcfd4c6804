"""The control group of a partial release: devices outside the rollout that check meanwhile and run an older
build.

They check in the same hours, on the same phones and against the same servers as the devices inside. Only the
draw of the rollout decides which device is on which side, so a difference between the sides is caused by the
release. For the same reason only devices count that could install the release and were known before it
started: ids that appear afterwards prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota import catalogs
from ota.core.catalog import Candidate
from ota.core.decision import UpdateQuery, could_install
from ota.core.health_members import control_day_of
from ota.core.lifecycle import ReleaseState
from ota.core.platforms import os_numbers
from ota.core.rollout import FULL, bucket
from ota.models import ReleaseHealth
from ota.telemetry import journeys
from ota.telemetry.sightings import CheckSeen, Key, KnownDevice


def enroll(
    session: Session, seen: Sequence[CheckSeen], known: Mapping[Key, KnownDevice], *, now: datetime
) -> None:
    """Add devices to the control groups of the partial releases that they were not offered.

    Device groups are let in by name and not by chance, so only the draw decides here: a device that the draw
    includes stays out of the control, whatever groups it is in.
    """
    releases = _PartialReleases(session, now)
    rows: dict[tuple[int, str, int], dict[str, Any]] = {}
    for each in seen:
        device = known.get(each.key)
        if device is None:
            continue
        for row in _rows(each, device, releases):
            rows.setdefault((row["release_id"], row["device_id"], row["turn"]), row)
    journeys.enroll_controls(session, [rows[key] for key in sorted(rows)])


class _PartialReleases:
    """The active partial releases of each channel and platform, read at their first use."""

    def __init__(self, session: Session, now: datetime) -> None:
        self._session, self._now = session, now
        self._candidates: dict[tuple[int, str], list[Candidate]] = {}
        self.rounds: dict[int, int] = {}
        """How many tests of each release have ended."""

    def on(self, channel_id: int, platform: str) -> Sequence[Candidate]:
        key = channel_id, platform
        if key not in self._candidates:
            self._candidates[key] = _partial(self._session, channel_id, platform, self._now)
            self.rounds |= _rounds(self._session, self._candidates[key])
        return self._candidates[key]


def _rows(seen: CheckSeen, device: KnownDevice, releases: _PartialReleases) -> Iterator[dict[str, Any]]:
    """One row for each release whose control group the check puts the device into."""
    at, code = seen.check.at, seen.current.build
    for candidate in releases.on(seen.check.channel_id, seen.platform.value):
        if code is None or code >= candidate.version_code or not _could_be_in(seen, candidate, device):
            continue
        number = bucket(candidate.salt, seen.check.body.device_id or "")
        if number in candidate.inside:
            continue
        rounds = releases.rounds.get(candidate.release_id, 0)
        yield {
            "release_id": candidate.release_id,
            "device_id": seen.key[2],
            "is_control": True,
            "turn": control_day_of(at, candidate.starts_at or at, rounds),
            "bucket": number,
            "version_code": code,
            "enrolled_at": at,
        }


def _partial(session: Session, channel_id: int, platform: str, now: datetime) -> list[Candidate]:
    catalog = catalogs.load(session, channel_id, platform, at=now)
    if catalog.is_shut_off:
        return []
    return [c for c in catalog.candidates if c.state is ReleaseState.ACTIVE and 0 < c.rollout < FULL]


def _rounds(session: Session, candidates: Sequence[Candidate]) -> dict[int, int]:
    query = select(ReleaseHealth.release_id, ReleaseHealth.rounds)
    rows = session.execute(query.where(ReleaseHealth.release_id.in_({c.release_id for c in candidates})))
    return {row.release_id: row.rounds for row in rows}


def _could_be_in(seen: CheckSeen, candidate: Candidate, device: KnownDevice) -> bool:
    """Whether the device would have been offered the release if the draw had included it."""
    body = seen.check.body
    if not candidate.has_started(seen.check.at) or (
        candidate.starts_at is not None and device.first_seen_at >= candidate.starts_at
    ):
        return False
    os = os_numbers(body.os_version) if body.os_version else None
    query = UpdateQuery(seen.current, sdk=body.sdk, os=os, abis=frozenset(body.abis or ()))
    return could_install(candidate, query)
