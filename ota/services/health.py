"""Watching releases: is one worse than it may be, and what is done about it without waiting for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.core.health import Policy, Reported, reported
from ota.core.lifecycle import HealthAction, HealthTest, ReleaseState
from ota.core.rollout import FULL
from ota.db import compare_and_set
from ota.errors import Conflict, Invalid, OtaError
from ota.models import App, HealthPolicy, Release, ReleaseHealth
from ota.services import audit, health_tests, release_rows
from ota.services.audit import SYSTEM, Actor
from ota.services.health_tests import Found
from ota.services.tallies import insert

WATCHED_FOR = timedelta(days=30)
"""So long after its start a release that is open to everybody is watched."""

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
        min_failing_devices=row.min_failing_devices, acceptable_rate=row.acceptable_rate, silence=timedelta(hours=row.silence_hours),
    )  # fmt: skip
    return Rules(policy, HealthAction(row.action), row.min_reports, row.revision)


def set_rules(session: Session, actor: Actor, app: App, wanted: Rules, *, revision: int | None = None, now: datetime) -> Rules:
    """Choose the app's policy. Raises `Invalid` for windows that are no whole hours, `Conflict` when somebody was faster."""
    if (wanted.policy.window % timedelta(hours=1), wanted.policy.silence % timedelta(hours=1)) != (timedelta(0), timedelta(0)):
        raise Invalid("bad_policy", "The window and the silence are whole hours.")
    if not 0 <= wanted.min_reports <= 1_000_000:
        raise Invalid("bad_policy", f"min_reports is {wanted.min_reports}: expected 0 to 1000000 devices.")
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
    members = health_tests.members(session, release_id, since)
    found = health_tests.run(session, release, members, rules.policy, since=since, now=now)
    row = _keep(session, release, since, found, reported(members, rules.policy, now, _DECIDED_SHARE), now=now)
    was_bad = before is not None and before.is_bad
    row.is_bad = was_bad or any(each.verdict.is_bad for each in found)
    if row.is_bad and not was_bad:
        _act(session, release, rules, row, now=now)
    return row


def restart(session: Session, release_id: int, *, now: datetime) -> None:
    """A person has resumed the release: what was found so far is known to them, and a new test begins."""
    row = session.get(ReleaseHealth, release_id)
    if row is not None:
        row.since, row.is_bad, row.evidence, row.peak, row.tests = now, False, 1.0, 1.0, []


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
    test = HealthTest(row.test)
    beside = "" if test is HealthTest.ALONE else f", against {row.failing_control:,} of {row.control:,} on the version before"
    happened = "devices that normally call fell silent" if test is HealthTest.SILENCE else "devices failed"
    evidence = f"{row.peak:,.0f}" if row.peak < _ENDLESS else f"more than {_ENDLESS:,}"
    return f"{row.failing_rollout:,} of {row.rollout:,} {happened}{beside}: evidence {evidence}, and {row.threshold:,.0f} is enough."


def _keep(
    session: Session, release: Release, since: datetime, found: Sequence[Found], decided: Reported, *, now: datetime
) -> ReleaseHealth:
    first = health_tests.speaking(found)
    told = health_tests.told(first)
    values: dict[str, Any] = {
        "since": since, "evaluated_at": now, **{name: value for name, value in told.items() if name != "curve"},
        "reported": decided.devices, "enrolled": decided.enrolled, "tests": [health_tests.told(each) for each in found],
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
        "silence_hours": int(policy.silence / timedelta(hours=1)),
    }  # fmt: skip
