"""The control of a release that is open to a part: devices that asked meanwhile, were outside, and run the build before.

They ask in the same hours, on the same phones and against the same servers as those inside. Chance alone, the draw of the rollout, decides
who is which; that is what makes a difference between them the release's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from ota.core.catalog import Candidate
from ota.core.lifecycle import ReleaseState
from ota.core.rollout import FULL, bucket
from ota.services import catalogs, release_devices

if TYPE_CHECKING:
    from ota.services.count_checks import Seen


def enrol(session: Session, seen: Sequence[Seen], *, now: datetime) -> None:
    """Add those to the controls that were offered nothing while a newer release was open to others.

    Device groups are let in by name and not by chance: with groups in a release, whoever may be in one is found out by the draw only, so
    a member stays out of the control when the draw would have let it in.
    """
    partial: dict[tuple[int, str], list[Candidate]] = {}
    rows = {}
    for each in seen:
        stream = (each.check.channel_id, each.platform.value)
        if stream not in partial:
            partial[stream] = _partial(session, *stream, now)
        code, device_id = each.current.build, each.check.said.device_id
        for candidate in partial[stream]:
            if code is not None and device_id and code < candidate.version_code and _is_outside(candidate, device_id, each.check.at):
                rows[candidate.release_id, each.device] = {
                    "release_id": candidate.release_id, "device_id": each.device, "is_control": True, "version_code": code,
                    "enrolled_at": each.check.at,
                }  # fmt: skip
    release_devices.enrol_controls(session, [rows[key] for key in sorted(rows, key=str)])


def _partial(session: Session, channel_id: int, platform: str, now: datetime) -> list[Candidate]:
    catalog = catalogs.load(session, channel_id, platform, at=now)
    if catalog.is_shut_off:
        return []
    return [c for c in catalog.candidates if c.state is ReleaseState.ACTIVE and 0 < c.rollout < FULL]


def _is_outside(candidate: Candidate, device_id: str, at: datetime) -> bool:
    if not candidate.has_started(at):
        return False
    return not candidate.bucket_from <= bucket(candidate.salt, device_id) < candidate.bucket_from + candidate.rollout
