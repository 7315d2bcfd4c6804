"""Proposals: acts that wait for another person's approval, as the two-person rule of their channel requires.

Who can approve: any person or token that may publish, except the author, whichever account token or page
the author uses (`_check_other_person`). The act itself raises `NeedsApproval` (`ota.apps.two_person`);
`or_propose` turns that into a proposal, and `approve` does the act as it was proposed, in the same
transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from ota.apps import channels
from ota.apps.two_person import Approval, NeedsApproval
from ota.builds import versions
from ota.core.lifecycle import ProposalState
from ota.core.plans import Plan
from ota.db import MAX_ID, compare_and_set
from ota.errors import Conflict, Forbidden, NotFound, OtaError
from ota.experiments import experiments
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, Proposal
from ota.releases import acts as release_acts
from ota.releases import edits as release_edits
from ota.releases import rows as release_rows
from ota.releases.edits import ReleaseEdit
from ota.releases.terms import Terms

Result = TypeVar("Result")


def or_propose(
    session: Session, actor: Actor, act: Callable[[], Result], *, now: datetime
) -> Result | Proposal:
    """Do the act, or propose it if its channel requires another person. Raises the errors of the act."""
    try:
        return act()
    except NeedsApproval as need:
        return _propose(session, actor, need, now=now)


def approve(session: Session, actor: Actor, proposal: Proposal, *, now: datetime) -> str:
    """Do the act that another person proposed. Return a sentence about the result.

    Raises `Forbidden` for the actor's own proposal, `Conflict` when it is already decided, and the errors of
    the act. The proposal then stays open, because the transaction is rolled back.
    """
    _check_other_person(actor, proposal)
    proposal_id, author, kind, payload = proposal.id, proposal.proposed_by, proposal.kind, proposal.payload
    _decide(session, actor, proposal, ProposalState.APPROVED, now=now)
    both = replace(actor, label=f"{author}, approved by {actor.label}"[:254])
    done = _ACTS[kind](session, both, payload, Approval(proposal_id), now)
    _record(session, actor, proposal, "approved", now=now)
    return done


def decline(session: Session, actor: Actor, proposal: Proposal, *, now: datetime) -> None:
    """Decline a proposal.

    For its author, this takes it back. Raises `Conflict` when it is already decided.
    """
    is_own = actor.user_id == proposal.proposed_by_id
    _decide(session, actor, proposal, ProposalState.WITHDRAWN if is_own else ProposalState.DECLINED, now=now)
    _record(session, actor, proposal, "taken_back" if is_own else "declined", now=now)


def get(session: Session, proposal_id: int, *, app: App | None = None) -> Proposal:
    """Return a proposal. Raises `NotFound`, also when it belongs to an app other than the given one."""
    proposal = session.get(Proposal, proposal_id) if proposal_id <= MAX_ID else None
    if proposal is None or (app is not None and proposal.app_id != app.id):
        raise NotFound("unknown_proposal", f"There is no proposal with the id {proposal_id}.")
    return proposal


def listed(session: Session, app: App, *, only_open: bool = False, limit: int = 50) -> Sequence[Proposal]:
    """Return the app's proposals, the newest first."""
    query = select(Proposal).where(Proposal.app_id == app.id).options(joinedload(Proposal.channel))
    if only_open:
        query = query.where(Proposal.state == ProposalState.OPEN)
    return session.scalars(query.order_by(Proposal.id.desc()).limit(limit)).all()


def _check_other_person(actor: Actor, proposal: Proposal) -> None:
    """Raise `Forbidden` unless the actor acts for a person, and for another one than the author."""
    if actor.user_id is None or actor.user_id == proposal.proposed_by_id:
        raise Forbidden(
            "own_proposal",
            "You proposed this yourself, with this account or one of its tokens. "
            "Another person has to approve it.",
        )


def _propose(session: Session, actor: Actor, need: NeedsApproval, *, now: datetime) -> Proposal:
    if actor.user_id is None:
        raise Forbidden("needs_approval", f"{need.message} Only a person or a person's token can ask for it.")
    proposal = Proposal(
        app_id=need.channel.app_id,
        channel_id=need.channel.id,
        kind=need.kind,
        payload=need.payload,
        summary=need.summary,
        state=ProposalState.OPEN,
        proposed_at=now,
        proposed_by=actor.label,
        proposed_by_id=actor.user_id,
    )
    session.add(proposal)
    session.flush()
    _record(session, actor, proposal, "proposed", now=now)
    return proposal


def _decide(
    session: Session, actor: Actor, proposal: Proposal, state: ProposalState, *, now: datetime
) -> None:
    values = {"state": state, "decided_at": now, "decided_by": actor.label, "decided_by_id": actor.user_id}
    # Only one of several decisions at the same moment is written. A constraint also refuses the author.
    if not compare_and_set(session, Proposal, {"id": proposal.id}, {"state": ProposalState.OPEN}, values):
        raise _decided(proposal)


def _decided(proposal: Proposal) -> OtaError:
    current = {"id": proposal.id, "state": proposal.state, "decided_by": proposal.decided_by}
    return Conflict(
        "already_decided",
        f"The proposal is {proposal.state} already, by {proposal.decided_by}.",
        current=current,
    )


def _record(session: Session, actor: Actor, proposal: Proposal, verb: str, *, now: datetime) -> None:
    after = {"kind": proposal.kind, "summary": proposal.summary}
    audit.record(
        session,
        actor,
        f"proposal.{verb}",
        ("proposal", proposal.id),
        now=now,
        app_id=proposal.app_id,
        after=after,
    )


def _start(
    session: Session, actor: Actor, payload: Mapping[str, Any], approval: Approval, now: datetime
) -> str:
    version = versions.get(session, payload["version_id"])
    terms = msgspec.convert(payload["terms"], Terms) if payload["terms"] else None
    release_acts.start(
        session,
        actor,
        version,
        channel=payload["channel"],
        rollout=payload["rollout"],
        terms=terms,
        revision=payload["revision"],
        approval=approval,
        now=now,
    )
    return f"Version {version.version} is on {payload['channel']}."


def _rollout(
    session: Session, actor: Actor, payload: Mapping[str, Any], approval: Approval, now: datetime
) -> str:
    release = release_rows.get(session, payload["release_id"])
    release_edits.set_rollout(
        session, actor, release, payload["rollout"], revision=payload["revision"], approval=approval, now=now
    )
    return f"The rollout of {release.version.version} is {payload['rollout'] / 100:g} %."


def _plan(
    session: Session, actor: Actor, payload: Mapping[str, Any], approval: Approval, now: datetime
) -> str:
    release = release_rows.get(session, payload["release_id"])
    changes = ReleaseEdit(plan=msgspec.convert(payload["plan"], Plan))
    release_edits.edit(
        session, actor, release, changes, revision=payload["revision"], approval=approval, now=now
    )
    return f"{release.version.version} follows its new plan."


def _experiment(
    session: Session, actor: Actor, payload: Mapping[str, Any], approval: Approval, now: datetime
) -> str:
    draft = msgspec.convert(payload["draft"], experiments.Draft)
    experiment = experiments.start(session, actor, payload["app_id"], draft, approval=approval, now=now)
    return f"The experiment {experiment.name} runs."


def _end(
    session: Session, actor: Actor, payload: Mapping[str, Any], approval: Approval, now: datetime
) -> str:
    experiment = experiments.get(session, payload["experiment_id"])
    experiments.end(
        session,
        actor,
        experiment,
        winner_version_id=payload["winner_version_id"],
        revision=payload["revision"],
        approval=approval,
        now=now,
    )
    return f"The experiment {experiment.name} has ended with its winner."


def _channel(
    session: Session, actor: Actor, payload: Mapping[str, Any], approval: Approval, now: datetime
) -> str:
    channel = channels.get(session, payload["channel_id"])
    changes = msgspec.convert(payload["changes"], channels.ChannelEdit)
    channels.edit(session, actor, channel, changes, revision=payload["revision"], approval=approval, now=now)
    return f"The channel {channel.name} is changed."


_ACTS: dict[str, Callable[[Session, Actor, Mapping[str, Any], Approval, datetime], str]] = {
    "start": _start,
    "rollout": _rollout,
    "plan": _plan,
    "experiment": _experiment,
    "end_experiment": _end,
    "channel": _channel,
}
"""How each kind of proposal is done once it is approved."""
