"""Experiments: versions that share a channel's devices until one becomes the release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload, selectinload

from ota import catalogs
from ota.apps import apps, two_person
from ota.apps.two_person import Approval
from ota.core.channels import followed
from ota.core.experiments import Arm
from ota.core.lifecycle import ExperimentState, ReleaseState
from ota.core.rollout import FULL
from ota.db import MAX_ID, compare_and_set
from ota.errors import Conflict, Invalid, NotFound, OtaError, Stale
from ota.experiments import arms as experiment_arms
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Channel, Experiment, Release, Version
from ota.releases import acts as release_acts
from ota.releases import drafts

_WITH = (
    joinedload(Experiment.channel),
    selectinload(Experiment.arms).joinedload(Release.version),
    joinedload(Experiment.winner),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An experiment to start. The weights are in basis points and add up to at most 10000."""

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
    """Offer two or more versions of one platform to their shares of a channel's devices, using one salt.

    Raises `Invalid` for arms that cannot be compared, `Conflict` (``experiment_overlaps``) while another
    experiment divides some of the same devices, `NeedsApproval` as the channel's rule requires, and the
    errors of publishing a version.
    """
    # The lock makes a second experiment of the app wait until this one is committed.
    app = session.get_one(App, app_id, with_for_update=True)
    channel = apps.find_channel(app, draft.channel)
    name = _checked_name(draft.name)
    versions = experiment_arms.checked_versions(session, app, draft.arms)
    _check_alone(session, app, channel, versions[0].platform)
    reach = sum(arm.weight for arm in draft.arms)
    title, payload = f"Experiment {name} on {channel.name}", {"app_id": app.id, "draft": draft}
    two_person.demand("experiment", channel, reach, approval, title, payload)
    experiment = _insert(session, actor, channel, versions[0].platform, name, now)
    experiment_arms.insert(session, actor, experiment, versions, draft.arms, now=now)
    weights = {version.version: arm.weight for version, arm in zip(versions, draft.arms, strict=True)}
    started = {"name": name, "channel": channel.name, "arms": weights}
    _record(session, actor, experiment, "started", started, now=now)
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
    """Conclude the arms, and release the winner, if one is named, to all devices.

    Raises `Conflict` when the experiment has ended or ``revision`` is stale, `Invalid` for a winner that is
    not an arm, and `NeedsApproval` for a winner where the channel's rule requires another person.
    """
    winner = _check_end(experiment, winner_version_id, revision)
    seen = experiment.revision if revision is None else revision
    if winner is not None:
        _demand_approval(experiment, winner, seen, approval)
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
        experiment_arms.release_winner(session, actor, winner, experiment, now=now)
    ended = {"name": experiment.name, "winner": winner.version if winner else None}
    _record(session, actor, experiment, "ended", ended, now=now)
    return experiment


def get(session: Session, experiment_id: int, *, app: App | None = None) -> Experiment:
    """Return an experiment. Raises `NotFound`, also when it belongs to an app other than the given one."""
    query = select(Experiment).where(Experiment.id == experiment_id).options(*_WITH)
    experiment = session.scalar(query) if experiment_id <= MAX_ID else None
    if experiment is None or (app is not None and experiment.app_id != app.id):
        raise NotFound("unknown_experiment", f"There is no experiment with the id {experiment_id}.")
    return experiment


def listed(session: Session, app: App, *, limit: int = 50) -> Sequence[Experiment]:
    """Return the app's experiments, the newest first."""
    query = select(Experiment).where(Experiment.app_id == app.id).options(*_WITH)
    return session.scalars(query.order_by(Experiment.id.desc()).limit(limit)).all()


def summary(experiment: Experiment) -> dict[str, object]:
    """Return the present state in a few fields, for a conflict's ``current``."""
    return {"id": experiment.id, "state": experiment.state, "revision": experiment.revision}


def _checked_name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise Invalid.about("name", "bad_name", "an experiment needs a name of 1 to 80 characters.")
    return name


def _check_alone(session: Session, app: App, channel: Channel, platform: str) -> None:
    """Raise `Conflict` while an experiment runs on a channel that some of the same devices follow."""
    known = catalogs.fallbacks(session, app.id)
    running = select(Experiment).where(
        Experiment.app_id == app.id,
        Experiment.platform == platform,
        Experiment.state == ExperimentState.RUNNING,
    )
    for other in session.scalars(running):
        follows = [set(followed(each.id, known)) for each in app.channels]
        if any({channel.id, other.channel_id} <= channels for channels in follows):
            raise _overlaps(other, channel)


def _insert(
    session: Session, actor: Actor, channel: Channel, platform: str, name: str, now: datetime
) -> Experiment:
    experiment = Experiment(
        app_id=channel.app_id,
        channel_id=channel.id,
        platform=platform,
        name=name,
        salt=drafts.new_salt(),
        state=ExperimentState.RUNNING,
        created_at=now,
        created_by=actor.label,
    )
    try:
        with session.begin_nested():
            session.add(experiment)
    except IntegrityError:
        raise _overlaps(None, channel) from None
    return experiment


def _check_end(experiment: Experiment, winner_version_id: int | None, revision: int | None) -> Version | None:
    """Return the winner.

    Checks the revision before anybody is asked to approve an end that could no longer be done.
    """
    if experiment.state != ExperimentState.RUNNING:
        raise Conflict(
            "already_ended",
            f"The experiment {experiment.name} has ended already.",
            current=summary(experiment),
        )
    winner = experiment_arms.checked_winner(experiment, winner_version_id)
    if revision is not None and revision != experiment.revision:
        raise _stale(experiment)
    return winner


def _demand_approval(
    experiment: Experiment, winner: Version, revision: int, approval: Approval | None
) -> None:
    channel = experiment.channel
    title = f"End the experiment {experiment.name} with {winner.version} as the release on {channel.name}"
    payload = {"experiment_id": experiment.id, "winner_version_id": winner.id, "revision": revision}
    two_person.demand("end_experiment", channel, FULL, approval, title, payload)


def _stale(experiment: Experiment) -> Conflict:
    return Stale(
        "Somebody else changed this experiment meanwhile. Look at it again.", current=summary(experiment)
    )


def _overlaps(other: Experiment | None, channel: Channel) -> OtaError:
    which = (
        f"The experiment {other.name} on {other.channel.name}"
        if other
        else "Another experiment, started at this moment,"
    )
    return Conflict(
        "experiment_overlaps",
        f"{which} divides devices that follow {channel.name} already. "
        "A device can be in one experiment at a time: end that one first.",
    )


def _record(
    session: Session,
    actor: Actor,
    experiment: Experiment,
    act: str,
    after: Mapping[str, Any],
    *,
    now: datetime,
) -> None:
    subject, app_id = ("experiment", experiment.id), experiment.app_id
    audit.record(session, actor, f"experiment.{act}", subject, now=now, app_id=app_id, after=dict(after))
