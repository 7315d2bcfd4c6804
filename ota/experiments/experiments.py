"""A/B: versions compared on a channel, each for its share of the devices, until one of them becomes the release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload, selectinload

from ota import catalogs
from ota.apps import apps, two_person
from ota.apps.two_person import Approval
from ota.builds import versions
from ota.core.channels import followed
from ota.core.experiments import Arm, check_arms, starts
from ota.core.lifecycle import ExperimentState, ReleaseState
from ota.core.rollout import FULL
from ota.db import MAX_ID, compare_and_set
from ota.errors import Conflict, Invalid, NotFound, OtaError, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Channel, Experiment, Release, Version
from ota.releases import acts as release_acts
from ota.releases import rows as release_rows

_WITH = (
    joinedload(Experiment.channel),
    selectinload(Experiment.arms).joinedload(Release.version),
    joinedload(Experiment.winner),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An experiment to start: weights in basis points, in sum at most everybody."""

    name: str
    arms: tuple[Arm, ...]
    channel: str | None = None


def start(
    session: Session,
    actor: Actor,
    app_id: int,
    draft: Draft,
    *,
    approval: Approval | None = None,
    now: datetime,
) -> Experiment:
    """Offer two or more versions of one platform to their shares of a channel's devices, over one salt.

    Raises `Invalid` for arms that can't be, `Conflict` (``experiment_overlaps``) while another one divides some of the same devices,
    what publishing a version raises, and `NeedsApproval` as the channel asks.
    """
    app = session.get_one(App, app_id, with_for_update=True)  # Whoever starts another one waits here.
    channel = apps.find_channel(app, draft.channel)
    name = draft.name.strip()
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise Invalid.about("name", "bad_name", "an experiment needs a name of 1 to 80 characters.")
    found = _versions(session, app, draft.arms)
    platform = found[0].platform
    _check_alone(session, app, channel, platform)
    reach = sum(arm.weight for arm in draft.arms)
    two_person.demand(
        "experiment",
        channel,
        reach,
        approval,
        f"Experiment {name} on {channel.name}",
        {"app_id": app.id, "draft": draft},
    )
    experiment = Experiment(
        app_id=app.id,
        channel_id=channel.id,
        platform=platform,
        name=name,
        salt=release_acts.new_salt(),
        state=ExperimentState.RUNNING,
        created_at=now,
        created_by=actor.label,
    )
    try:
        with session.begin_nested():
            session.add(experiment)
    except IntegrityError:
        raise _overlaps(None, channel) from None
    for version, arm, first in zip(found, draft.arms, starts(draft.arms), strict=True):
        release_acts.publish_version(session, actor, version, channel, revision=None, now=now)
        release = Release(
            channel_id=channel.id,
            version_id=version.id,
            experiment_id=experiment.id,
            platform=platform,
            state=ReleaseState.ACTIVE,
            rollout=arm.weight,
            bucket_from=first,
            salt=experiment.salt,
            starts_at=now,
        )
        release_acts.add(session, actor, release, version, channel, now=now, experiment=name)
    after = {
        "name": name,
        "channel": channel.name,
        "arms": {each.version: arm.weight for each, arm in zip(found, draft.arms, strict=True)},
    }
    audit.record(
        session,
        actor,
        "experiment.started",
        ("experiment", experiment.id),
        now=now,
        app_id=app.id,
        after=after,
    )
    return experiment


def end(
    session: Session,
    actor: Actor,
    experiment: Experiment,
    *,
    winner_version_id: int | None,
    revision: int | None = None,
    approval: Approval | None = None,
    now: datetime,
) -> Experiment:
    """End it: its arms leave the answers, and the winner, where one is named, becomes the release for everybody.

    Raises `Conflict` when it has ended already or changed meanwhile, `Invalid` for a winner that is none of its arms.
    """
    if experiment.state != ExperimentState.RUNNING:
        raise Conflict(
            "already_ended",
            f"The experiment {experiment.name} has ended already.",
            current=summary(experiment),
        )
    winner = _winner(experiment, winner_version_id)
    seen = experiment.revision if revision is None else revision
    if seen != experiment.revision:
        raise _stale(experiment)  # Before anybody is asked to approve what could not be done any more.
    if winner is not None:
        payload = {"experiment_id": experiment.id, "winner_version_id": winner.id, "revision": seen}
        title = f"End the experiment {experiment.name} with {winner.version} as the release on {experiment.channel.name}"
        two_person.demand("end_experiment", experiment.channel, FULL, approval, title, payload)
    values = {
        "state": ExperimentState.ENDED,
        "ended_at": now,
        "winner_version_id": winner_version_id,
        "revision": seen + 1,
    }
    expected = {"state": ExperimentState.RUNNING, "revision": seen}
    if not compare_and_set(session, Experiment, {"id": experiment.id}, expected, values):
        raise _stale(experiment)
    for arm in experiment.arms:
        if arm.is_live:
            release_acts.change_state(session, actor, arm, ReleaseState.CONCLUDED, now=now)
    if winner is not None:
        _become_release(session, actor, winner, experiment, now=now)
    after = {"name": experiment.name, "winner": winner.version if winner else None}
    audit.record(
        session,
        actor,
        "experiment.ended",
        ("experiment", experiment.id),
        now=now,
        app_id=experiment.app_id,
        after=after,
    )
    return experiment


def get(session: Session, experiment_id: int, *, app: App | None = None) -> Experiment:
    """Raises `NotFound`, also when the experiment belongs to another app than the given one."""
    query = select(Experiment).where(Experiment.id == experiment_id).options(*_WITH)
    experiment = session.scalar(query) if experiment_id <= MAX_ID else None
    if experiment is None or (app is not None and experiment.app_id != app.id):
        raise NotFound("unknown_experiment", f"There is no experiment with the id {experiment_id}.")
    return experiment


def listed(session: Session, app: App, *, limit: int = 50) -> Sequence[Experiment]:
    """The app's experiments, the last one first."""
    query = select(Experiment).where(Experiment.app_id == app.id).options(*_WITH)
    return session.scalars(query.order_by(Experiment.id.desc()).limit(limit)).all()


def summary(experiment: Experiment) -> dict[str, object]:
    """The present state in a few fields, for a conflict's ``current``."""
    return {"id": experiment.id, "state": experiment.state, "revision": experiment.revision}


def _stale(experiment: Experiment) -> Conflict:
    return Stale(
        "Somebody else changed this experiment meanwhile. Look at it again.", current=summary(experiment)
    )


def _versions(session: Session, app: App, arms: Sequence[Arm]) -> list[Version]:
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
    for version in found:
        if version.checksum is None:
            raise release_acts.no_checksum()
    return found


def _check_alone(session: Session, app: App, channel: Channel, platform: str) -> None:
    """Raises `Conflict` while an experiment runs on a channel that some of the same devices see."""
    known = catalogs.fallbacks(session, app.id)
    running = select(Experiment).where(
        Experiment.app_id == app.id,
        Experiment.platform == platform,
        Experiment.state == ExperimentState.RUNNING,
    )
    for other in session.scalars(running):
        follows = [set(followed(each.id, known)) for each in app.channels]
        if any({channel.id, other.channel_id} <= seen for seen in follows):
            raise _overlaps(other, channel)


def _overlaps(other: Experiment | None, channel: Channel) -> OtaError:
    which = (
        f"The experiment {other.name} on {other.channel.name}"
        if other
        else "Another experiment, started at this moment,"
    )
    return Conflict(
        "experiment_overlaps",
        f"{which} divides devices that follow {channel.name} already. A device can be in one experiment at a time: end that one first.",
    )


def _winner(experiment: Experiment, version_id: int | None) -> Version | None:
    if version_id is None:
        return None
    for arm in experiment.arms:
        if arm.version_id == version_id:
            return arm.version
    known = ", ".join(f"{arm.version_id} ({arm.version.version})" for arm in experiment.arms)
    raise Invalid.about(
        "winner", "bad_winner", f"no arm has the version {version_id}. Expected one of: {known}."
    )


def _become_release(
    session: Session, actor: Actor, winner: Version, experiment: Experiment, *, now: datetime
) -> None:
    channel = experiment.channel
    there = release_rows.standing(session, winner, channel)
    if there is None:
        release_acts.publish_version(session, actor, winner, channel, revision=None, now=now)
        release = Release(
            channel_id=channel.id,
            version_id=winner.id,
            platform=winner.platform,
            state=ReleaseState.ACTIVE,
            rollout=FULL,
            salt=release_acts.new_salt(),
            starts_at=now,
            full_since=now,
        )
        release_acts.add(session, actor, release, winner, channel, now=now, won=experiment.name)
        return
    if there.state != ReleaseState.ACTIVE:
        release_acts.change_state(session, actor, there, ReleaseState.ACTIVE, now=now)
    values = {"rollout": FULL, "plan": None, "plan_step": None, "next_step_at": None, "soak_left": None}
    release_rows.change(
        session, actor, there, "rollout_changed", values, revision=None, now=now, won=experiment.name
    )
