"""The arms of an experiment: checks on their versions, their releases, and the effect of each winner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from ota.builds import versions
from ota.core.experiments import Arm, check_arms, first_buckets
from ota.core.lifecycle import ReleaseState
from ota.core.rollout import FULL
from ota.errors import Invalid
from ota.history.audit import Actor
from ota.models import App, Experiment, Release, Version
from ota.releases import acts as release_acts
from ota.releases import drafts, preflight
from ota.releases import rows as release_rows
from ota.releases.edits import NO_PLAN

_NEWEST = 200


@dataclass(frozen=True, slots=True)
class Ending:
    """The effect of a winner on active devices that run an arm.

    ``keep`` devices run a losing version with a higher version code and stay on it; ``moved`` devices run
    another losing version and are offered the winner.
    """

    arm: Release
    keep: int
    moved: int


def candidates(session: Session, app: App) -> Sequence[Version]:
    """Return the app's newest versions that can be arms, by platform, the highest version code first."""
    found = [
        version for version in versions.newest(session, app, limit=_NEWEST) if version.checksum is not None
    ]
    return sorted(found, key=lambda version: (version.platform, -version.version_code))


def checked_versions(session: Session, app: App, arms: Sequence[Arm]) -> list[Version]:
    """Return the versions of the arms.

    Raises `Invalid` for arms that cannot be compared, `NotFound` for an unknown version.
    """
    try:
        check_arms(arms)
    except ValueError as error:
        raise Invalid.about("arms", "bad_arms", f"{error}.") from error
    found = [versions.get(session, arm.version_id, app=app) for arm in arms]
    if len({version.platform for version in found}) != 1:
        raise Invalid.about(
            "arms",
            "bad_arms",
            "versions of different platforms can't be compared. Name versions of one platform.",
        )
    if any(version.checksum is None for version in found):
        raise drafts.missing_checksum()
    return found


def insert(
    session: Session,
    actor: Actor,
    experiment: Experiment,
    found: Sequence[Version],
    arms: Sequence[Arm],
    *,
    now: datetime,
) -> None:
    """Release each arm's version to its own range of buckets, all with the salt of the experiment."""
    for version, arm, first in zip(found, arms, first_buckets(arms), strict=True):
        release = _release(version, experiment, arm.weight, experiment.salt, now)
        release.experiment_id, release.bucket_from = experiment.id, first
        channel = experiment.channel
        preflight.activate(session, actor, version, channel, revision=None, now=now)
        release_rows.insert(session, actor, release, version, channel, now=now, experiment=experiment.name)


def checked_winner(experiment: Experiment, version_id: int | None) -> Version | None:
    """Return the winning version; None without a winner.

    Raises `Invalid` for a version that is not an arm.
    """
    if version_id is None:
        return None
    for arm in experiment.arms:
        if arm.version_id == version_id:
            return arm.version
    known = ", ".join(f"{arm.version_id} ({arm.version.version})" for arm in experiment.arms)
    raise Invalid.about(
        "winner", "bad_winner", f"no arm has the version {version_id}. Expected one of: {known}."
    )


def release_winner(
    session: Session, actor: Actor, winner: Version, experiment: Experiment, *, now: datetime
) -> None:
    """Release the winner to all devices: open its live release on the channel, or start one."""
    channel = experiment.channel
    present = release_rows.live_on(session, winner, channel)
    if present is None:
        preflight.activate(session, actor, winner, channel, revision=None, now=now)
        release = _release(winner, experiment, FULL, drafts.new_salt(), now)
        release.full_since = now
        release_rows.insert(session, actor, release, winner, channel, now=now, won=experiment.name)
        return
    if present.state != ReleaseState.ACTIVE:
        release_acts.change_state(session, actor, present, ReleaseState.ACTIVE, now=now)
    values = {"rollout": FULL, **NO_PLAN}
    release_rows.change(
        session, actor, present, "rollout_changed", values, revision=None, now=now, won=experiment.name
    )


def endings(experiment: Experiment, running: Mapping[tuple[str, int], int]) -> list[Ending]:
    """Return the effect of each arm as the winner.

    ``running`` has the active devices by platform and version code.
    """
    return [_ending(experiment, winner, running) for winner in experiment.arms]


def devices_on(arm: Release, running: Mapping[tuple[str, int], int]) -> int:
    """Return the number of active devices that run the version of an arm."""
    return running.get((arm.platform, arm.version.version_code), 0)


def _ending(experiment: Experiment, winner: Release, running: Mapping[tuple[str, int], int]) -> Ending:
    losers = [arm for arm in experiment.arms if arm is not winner]
    higher = [arm for arm in losers if arm.version.version_code > winner.version.version_code]
    keep = sum(devices_on(arm, running) for arm in higher)
    return Ending(winner, keep, sum(devices_on(arm, running) for arm in losers) - keep)


def _release(version: Version, experiment: Experiment, rollout: int, salt: str, now: datetime) -> Release:
    return Release(
        channel_id=experiment.channel_id,
        version_id=version.id,
        platform=version.platform,
        state=ReleaseState.ACTIVE,
        rollout=rollout,
        salt=salt,
        starts_at=now,
    )
