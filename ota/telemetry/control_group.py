"""The control of a release that is open to a part: devices that asked meanwhile, were outside, and run the build before.

They ask in the same hours, on the same phones and against the same servers as those inside. Chance alone, the draw of the rollout, decides
who is which; that is what makes a difference between them the release's own. So only devices count on which the release could be installed,
and that were known before it started: ids that appear afterwards prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota import catalogs
from ota.core.catalog import Candidate
from ota.core.decision import UpdateQuery, could_install
from ota.core.health_members import turn_of
from ota.core.lifecycle import ReleaseState
from ota.core.platforms import os_numbers
from ota.core.rollout import FULL, bucket
from ota.models import ReleaseHealth
from ota.telemetry import journeys
from ota.telemetry.sightings import Key, Known, Seen


def enrol(session: Session, seen: Sequence[Seen], known: Mapping[Key, Known], *, now: datetime) -> None:
    """Add those to the controls that were offered nothing while a newer release was open to others.

    Device groups are let in by name and not by chance: with groups in a release, whoever may be in one is found out by the draw only, so
    a member stays out of the control when the draw would have let it in.
    """
    partial: dict[tuple[int, str], list[Candidate]] = {}
    rows: dict[tuple[int, str, int], dict[str, Any]] = {}
    rounds: dict[int, int] = {}
    for each in seen:
        stream = (each.check.channel_id, each.platform.value)
        if stream not in partial:
            partial[stream] = _partial(session, *stream, now)
            rounds |= _rounds(session, partial[stream])
        device, code = known.get(each.key), each.current.build
        for candidate in partial[stream]:
            if (
                device is None
                or code is None
                or code >= candidate.version_code
                or not _could_be_in(each, candidate, device)
            ):
                continue
            number = bucket(candidate.salt, each.check.said.device_id or "")
            if candidate.bucket_from <= number < candidate.bucket_from + candidate.rollout:
                continue
            turn = turn_of(
                each.check.at, candidate.starts_at or each.check.at, rounds.get(candidate.release_id, 0)
            )
            rows.setdefault(
                (candidate.release_id, each.key[2], turn),
                {
                    "release_id": candidate.release_id,
                    "device_id": each.key[2],
                    "is_control": True,
                    "turn": turn,
                    "bucket": number,
                    "version_code": code,
                    "enrolled_at": each.check.at,
                },
            )
    journeys.enrol_controls(session, [rows[key] for key in sorted(rows)])


def _partial(session: Session, channel_id: int, platform: str, now: datetime) -> list[Candidate]:
    catalog = catalogs.load(session, channel_id, platform, at=now)
    if catalog.is_shut_off:
        return []
    return [c for c in catalog.candidates if c.state is ReleaseState.ACTIVE and 0 < c.rollout < FULL]


def _rounds(session: Session, candidates: Sequence[Candidate]) -> dict[int, int]:
    query = select(ReleaseHealth.release_id, ReleaseHealth.rounds)
    rows = session.execute(query.where(ReleaseHealth.release_id.in_({c.release_id for c in candidates})))
    return {row.release_id: row.rounds for row in rows}


def _could_be_in(each: Seen, candidate: Candidate, device: Known) -> bool:
    """Would it have been offered the release had the draw fallen otherwise?"""
    said, at = each.check.said, each.check.at
    if not candidate.has_started(at) or (
        candidate.starts_at is not None and device.first_seen_at >= candidate.starts_at
    ):
        return False
    os = os_numbers(said.os_version) if said.os_version else None
    return could_install(
        candidate, UpdateQuery(each.current, sdk=said.sdk, os=os, abis=frozenset(said.abis or ()))
    )
