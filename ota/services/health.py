"""Watching releases: is one worse than it may be, and what is done about it without waiting for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.core.health import Member, Point, Policy, Reported, Verdict, reported, with_control, without_control
from ota.core.lifecycle import HealthAction, ReleaseState
from ota.core.rollout import FULL
from ota.db import compare_and_set
from ota.errors import Conflict, Invalid, OtaError
from ota.models import App, HealthPolicy, Release, ReleaseDevice, ReleaseHealth
from ota.services import audit, release_rows
from ota.services.audit import SYSTEM, Actor
from ota.services.tallies import insert

WATCHED_FOR = timedelta(days=30)
"""So long after its start a release that is open to everybody is watched."""

_POINTS = 200
_ENDLESS = 1_000_000
_DECIDED_SHARE = 0.0


@dataclass(frozen=True, slots=True)
class Rules:
    """An app's policy with what is done when a release is bad, and what a plan waits for."""

    policy: Policy
    action: HealthAction = HealthAction.HALT
    min_reports: int = 0
    revision: int = 0
    """0: the app has chosen nothing, these are the defaults."""


def rules_of(session: Session, app_id: int) -> Rules:
    """What holds for the app."""
    row = session.get(HealthPolicy, app_id)
    if row is None:
        return Rules(Policy())
    policy = Policy(
        alpha=row.alpha, tolerated_ratio=row.tolerated_ratio, window=timedelta(hours=row.window_hours),
        min_failing_devices=row.min_failing_devices, acceptable_rate=row.acceptable_rate,
    )  # fmt: skip
    return Rules(policy, HealthAction(row.action), row.min_reports, row.revision)


def set_rules(session: Session, actor: Actor, app: App, wanted: Rules, *, revision: int | None = None, now: datetime) -> Rules:
    """Choose the app's policy. Raises `Invalid` for windows that are no whole hours, `Conflict` when somebody was faster."""
    if wanted.policy.window % timedelta(hours=1) or not 0 <= wanted.min_reports <= 1_000_000:
        raise Invalid("bad_policy", "The window is whole hours, and min_reports 0 to 1000000 devices.")
    before = rules_of(session, app.id)
    seen = before.revision if revision is None else revision
    values = {**_plain(wanted), "revision": seen + 1}
    if seen == 0:
        made = insert(session, HealthPolicy).values(app_id=app.id, **values).on_conflict_do_nothing().returning(HealthPolicy.app_id)
        is_written = session.scalar(made) is not None
    else:
        is_written = compare_and_set(session, HealthPolicy, {"app_id": app.id}, {"revision": seen}, values)
    if not is_written:
        current = rules_of(session, app.id)
        raise Conflict(
            "stale_revision", "Somebody else changed the health policy meanwhile. Look at it, then decide again.",
            current={**_plain(current), "revision": current.revision},
        )  # fmt: skip
    was, becomes = _plain(before), _plain(wanted)
    changed = {name for name in becomes if becomes[name] != was[name]}
    audit.record(
        session, actor, "app.health_policy", ("app", app.id), now=now, app_id=app.id,
        before={name: was[name] for name in sorted(changed)}, after={name: becomes[name] for name in sorted(changed)},
    )  # fmt: skip
    session.expire_all()
    return rules_of(session, app.id)


def watched(session: Session, *, now: datetime) -> Sequence[int]:
    """The ids of the releases whose devices are watched: those that stand and have started, as long as they are young or partial."""
    query = select(Release.id).where(Release.state.in_((ReleaseState.ACTIVE, ReleaseState.PAUSED)), Release.starts_at <= now)
    query = query.where((Release.starts_at > now - WATCHED_FOR) | (Release.rollout < FULL))
    return session.scalars(query.order_by(Release.id)).all()


def evaluate(session: Session, release_id: int, *, now: datetime) -> ReleaseHealth:
    """Look at a release once more, keep what was found, and act on it where the policy says so.

    What acts compares and sets the release's revision as it was when its devices were read: it never races a person.
    """
    release = release_rows.get(session, release_id)
    rules = rules_of(session, release.version.app_id)
    before = session.get(ReleaseHealth, release_id)
    since = release.starts_at if before is None else before.since
    members = _members(session, release_id, since)
    verdict, has_control = _verdict(members, rules.policy, now)
    found = _keep(session, release, since, verdict, reported(members, rules.policy, now, _DECIDED_SHARE), has_control=has_control, now=now)
    was_bad = before is not None and before.is_bad
    found.is_bad = verdict.is_bad or was_bad
    if found.is_bad and not was_bad:
        _act(session, release, rules, found, now=now)
    return found


def restart(session: Session, release_id: int, *, now: datetime) -> None:
    """A person has resumed the release: what was found so far is known to them, and a new test begins."""
    row = session.get(ReleaseHealth, release_id)
    if row is not None:
        row.since, row.is_bad, row.evidence, row.peak, row.curve = now, False, 1.0, 1.0, []


def why_waiting(session: Session, release: Release) -> str | None:
    """Why a plan must not go on because of its devices; None when nothing holds it."""
    rules, row = rules_of(session, release.version.app_id), session.get(ReleaseHealth, release.id)
    if row is not None and row.is_bad:
        return "The health test says that the release is bad."
    known = 0 if row is None else row.reported
    if known < rules.min_reports:
        return f"{known} of {rules.min_reports} devices have reported how it goes."
    return None


def sentence(row: ReleaseHealth) -> str:
    """What was found, with its numbers."""
    beside = f", against {row.failing_control:,} of {row.control:,} on the version before" if row.has_control else ""
    evidence = f"{row.peak:,.0f}" if row.peak < _ENDLESS else f"more than {_ENDLESS:,}"
    return f"{row.failing_rollout:,} of {row.rollout:,} devices failed{beside}: evidence {evidence}, and {row.threshold:,.0f} is enough."


def _verdict(members: Sequence[Member], policy: Policy, now: datetime) -> tuple[Verdict, bool]:
    """Both tests share the alpha, so that whichever speaks, a good release is halted with that probability at most.

    The one that has more to say is told: with a control while there is one, else the one without.
    """
    halved = replace(policy, alpha=policy.alpha / 2)
    compared, alone = with_control(members, halved, now), without_control(members, halved, now)
    if compared.is_bad or not alone.is_bad:
        has_control = compared.control > 0 and (compared.is_bad or compared.evidence >= alone.evidence)
        return (compared, True) if has_control else (alone, False)
    return alone, False


def _members(session: Session, release_id: int, since: datetime) -> list[Member]:
    query = select(
        ReleaseDevice.enrolled_at, ReleaseDevice.failed_at, ReleaseDevice.is_control, ReleaseDevice.left_at, ReleaseDevice.healthy_at
    ).where(ReleaseDevice.release_id == release_id, ReleaseDevice.enrolled_at >= since)
    return [Member(*row) for row in session.execute(query)]  # type: ignore[arg-type]  # Who has enrolled has a time.


def _keep(
    session: Session, release: Release, since: datetime, verdict: Verdict, decided: Reported, *, has_control: bool, now: datetime
) -> ReleaseHealth:
    values: dict[str, Any] = {
        "since": since, "evaluated_at": now, "has_control": has_control, "evidence": verdict.evidence, "peak": verdict.peak,
        "threshold": verdict.threshold, "rollout": verdict.rollout, "control": verdict.control,
        "failing_rollout": verdict.failing_rollout, "failing_control": verdict.failing_control,
        "reported": decided.devices, "enrolled": decided.enrolled, "curve": [_plain_point(each) for each in _thinned(verdict.curve)],
    }  # fmt: skip
    row = session.get(ReleaseHealth, release.id)
    if row is None:
        row = ReleaseHealth(release_id=release.id, is_bad=False, **values)
        session.add(row)
    else:
        for name, value in values.items():
            setattr(row, name, value)
    session.flush()
    return row


def _act(session: Session, release: Release, rules: Rules, found: ReleaseHealth, *, now: datetime) -> None:
    """Do what the policy says. Nothing when a person was faster: they have looked at it themselves."""
    from ota.services import releases  # They ask this module when a person resumes one.

    why = sentence(found)
    audit.record(
        session, SYSTEM, "release.found_bad", ("release", release.id), now=now, app_id=release.version.app_id,
        after={"version": release.version.version, "reason": why},
    )  # fmt: skip
    target = {HealthAction.HALT: ReleaseState.HALTED, HealthAction.ROLL_BACK: ReleaseState.ROLLED_BACK}.get(rules.action)
    if target is None or (target is ReleaseState.HALTED and release.state != ReleaseState.ACTIVE):
        return
    try:
        with session.begin_nested():
            releases.change_state(session, SYSTEM, release, target, revision=release.revision, reason=why, now=now)
    except OtaError:
        return


def _plain(rules: Rules) -> dict[str, Any]:
    policy = rules.policy
    return {
        "action": rules.action.value, "alpha": policy.alpha, "tolerated_ratio": policy.tolerated_ratio,
        "window_hours": int(policy.window / timedelta(hours=1)), "min_failing_devices": policy.min_failing_devices,
        "acceptable_rate": policy.acceptable_rate, "min_reports": rules.min_reports,
    }  # fmt: skip


def _thinned(curve: Sequence[Point]) -> Sequence[Point]:
    """At most so many points, with the first, the last and the highest."""
    if len(curve) <= _POINTS:
        return curve
    step = len(curve) / (_POINTS - 2)
    kept = {*(int(number * step) for number in range(_POINTS - 2)), len(curve) - 1}
    kept.add(max(range(len(curve)), key=lambda place: curve[place].evidence))
    return [curve[place] for place in sorted(kept)]


def _plain_point(point: Point) -> list[float]:
    return [point.at.timestamp(), point.rollout, point.control, point.failing_rollout, point.failing_control, round(point.evidence, 6)]
