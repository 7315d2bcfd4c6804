"""Watching releases: is one worse than it may be, and what is done about it without waiting for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ota.core.health_tests import Policy, Reported
from ota.core.lifecycle import LIVE_STATES, HealthAction, HealthTest, ReleaseState, may_move_release
from ota.core.rollout import FULL
from ota.db import compare_and_set
from ota.errors import Conflict, Invalid
from ota.health import evaluate as health_tests
from ota.health import silence
from ota.health.evaluate import Found
from ota.history import audit
from ota.history.audit import SYSTEM, Actor
from ota.models import App, HealthPolicy, Release, ReleaseHealth, Version
from ota.releases import rows as release_rows
from ota.releases.rows import summary
from ota.telemetry.hourly_counts import insert

WATCHED_FOR = timedelta(days=30)
"""So long after its start a release that is open to everybody is watched."""

_ENDLESS = 1_000_000


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
        alpha=row.alpha,
        tolerated_ratio=row.tolerated_ratio,
        window=timedelta(hours=row.window_hours),
        min_failing_devices=row.min_failing_devices,
        acceptable_rate=row.acceptable_rate,
        silence=timedelta(hours=row.silence_hours),
    )
    return Rules(policy, HealthAction(row.action), row.min_reports, row.revision)


def set_rules(
    session: Session, actor: Actor, app: App, wanted: Rules, *, revision: int | None = None, now: datetime
) -> Rules:
    """Choose the app's policy. Raises `Invalid` for windows that are no whole hours, `Conflict` when somebody was faster."""
    if (wanted.policy.window % timedelta(hours=1), wanted.policy.silence % timedelta(hours=1)) != (
        timedelta(0),
        timedelta(0),
    ):
        raise Invalid("bad_policy", "The window and the silence are whole hours.")
    if not 0 <= wanted.min_reports <= 1_000_000:
        raise Invalid("bad_policy", f"min_reports is {wanted.min_reports}: expected 0 to 1000000 devices.")
    before = rules_of(session, app.id)
    seen = before.revision if revision is None else revision
    values = {**_plain(wanted), "revision": seen + 1}
    if seen == 0:
        made = (
            insert(session, HealthPolicy)
            .values(app_id=app.id, **values)
            .on_conflict_do_nothing()
            .returning(HealthPolicy.app_id)
        )
        is_written = session.scalar(made) is not None
    else:
        is_written = compare_and_set(session, HealthPolicy, {"app_id": app.id}, {"revision": seen}, values)
    if not is_written:
        current = rules_of(session, app.id)
        raise Conflict(
            "stale_revision",
            "Somebody else changed the health policy meanwhile. Look at it, then decide again.",
            current={**_plain(current), "revision": current.revision},
        )
    was, becomes = _plain(before), _plain(wanted)
    changed = {name for name in becomes if becomes[name] != was[name]}
    audit.record(
        session,
        actor,
        "app.health_policy",
        ("app", app.id),
        now=now,
        app_id=app.id,
        before={name: was[name] for name in sorted(changed)},
        after={name: becomes[name] for name in sorted(changed)},
    )
    session.expire_all()
    return rules_of(session, app.id)


def watched(session: Session, *, now: datetime) -> Sequence[int]:
    """The ids of the releases whose devices are watched: those that stand and have started, as long as they are partial, or were opened
    to everybody or tested anew not long ago. None of an app that keeps nothing about single devices."""
    is_young = [
        Release.starts_at > now - WATCHED_FOR,
        Release.full_since > now - WATCHED_FOR,
        ReleaseHealth.since > now - WATCHED_FOR,
    ]
    query = (
        select(Release.id)
        .join(Release.version)
        .join(Version.app)
        .outerjoin(ReleaseHealth, ReleaseHealth.release_id == Release.id)
    )
    query = query.where(App.keeps_devices)
    query = query.where(
        Release.state.in_((ReleaseState.ACTIVE, ReleaseState.PAUSED)), Release.starts_at <= now
    )
    return session.scalars(query.where(or_(Release.rollout < FULL, *is_young)).order_by(Release.id)).all()


@dataclass(frozen=True, slots=True)
class Look:
    """What was found of a release as it was with this ``revision``."""

    release_id: int
    revision: int
    since: datetime
    found: Sequence[Found]
    decided: Reported
    is_suspect: bool


def note_silence(session: Session, release_id: int, *, now: datetime) -> None:
    """Notice who has ceased to call, where the app's policy asks for it; before a `look`."""
    release = release_rows.get(session, release_id)
    policy = rules_of(session, release.version.app_id).policy
    if policy.silence:
        silence.note(session, release, policy, since=_since(session, release), now=now)


def look(session: Session, release_id: int, *, now: datetime) -> Look:
    """Ask the tests once more. Reads only, and as long as there are devices: nobody has to wait for it."""
    release = release_rows.get(session, release_id)
    policy, since = rules_of(session, release.version.app_id).policy, _since(session, release)
    seen = health_tests.crowd(session, release, policy, since)
    return Look(
        release_id,
        release.revision,
        since,
        health_tests.run(release, seen, policy, now),
        health_tests.decided(session, release, policy, now),
        health_tests.is_suspect(release, seen, policy, now),
    )


def conclude(session: Session, seen: Look, *, now: datetime) -> ReleaseHealth | None:
    """Keep what was found, and act on it where the policy says so. None, with nothing kept, when the release was changed since the
    look: it is looked at again. Raises `Conflict` when it is being changed now: then nothing may be kept either.
    """
    release = release_rows.get(session, seen.release_id)
    before = session.get(ReleaseHealth, seen.release_id)
    if release.revision != seen.revision or (before is not None and before.since != seen.since):
        return None
    was_bad = before is not None and before.is_bad
    row = _keep(session, seen, now=now)
    row.is_bad = was_bad or any(each.verdict.is_bad for each in seen.found)
    row.is_suspect = row.is_bad or seen.is_suspect
    if row.is_bad:
        _act(session, release, rules_of(session, release.version.app_id), row, is_new=not was_bad, now=now)
    return row


def evaluate(session: Session, release_id: int, *, now: datetime) -> ReleaseHealth | None:
    """All of it at once."""
    note_silence(session, release_id, now=now)
    return conclude(session, look(session, release_id, now=now), now=now)


def restart(session: Session, release: Release, *, now: datetime) -> None:
    """A person has decided: what was found so far is known to them, and a new test begins with the devices that come from now on."""
    row = session.get(ReleaseHealth, release.id)
    if row is not None:
        row.since, row.rounds, row.is_bad, row.is_suspect = now, row.rounds + 1, False, False
        row.evidence, row.peak, row.tests = 1.0, 1.0, []
        row.rollout = row.control = row.failing_rollout = row.failing_control = 0


def was_found_bad(session: Session, release: Release) -> bool:
    """Has a test called the release bad, and nobody decided about that since?"""
    row = session.get(ReleaseHealth, release.id)
    return row is not None and row.is_bad


def begin_anew(
    session: Session, actor: Actor, release: Release, *, revision: int | None = None, now: datetime
) -> Release:
    """A person has looked at a release that was found bad and lets it go on: a new test begins. Raises `Conflict` when it was not."""
    if not was_found_bad(session, release) or release.state not in LIVE_STATES:
        raise Conflict(
            "not_found_bad",
            "No test has found this release bad, so there is none to begin anew.",
            current=summary(release),
        )
    restart(session, release, now=now)
    release_rows.change(session, actor, release, "test_anew", {}, revision=revision, now=now)
    return release


def why_waiting(session: Session, release: Release) -> str | None:
    """Why a plan must not go on because of its devices; None when nothing holds it."""
    rules, row = rules_of(session, release.version.app_id), session.get(ReleaseHealth, release.id)
    if row is not None and row.is_bad:
        return "The health test says that the release is bad."
    if row is not None and row.is_suspect:
        return "What was reported last looks bad; it is judged when all reports had time to arrive."
    known = 0 if row is None else row.reported
    if known < rules.min_reports:
        return f"{known} of {rules.min_reports} devices have reported how it goes."
    return None


def sentence(row: ReleaseHealth) -> str:
    """What was found, with its numbers."""
    test = HealthTest(row.test)
    beside = (
        ""
        if test is HealthTest.ALONE
        else f", against {row.failing_control:,} of {row.control:,} outside of it"
    )
    happened = "devices that normally call fell silent" if test is HealthTest.SILENCE else "devices failed"
    evidence = f"{row.peak:,.0f}" if row.peak < _ENDLESS else f"more than {_ENDLESS:,}"
    return f"{row.failing_rollout:,} of {row.rollout:,} {happened}{beside}: evidence {evidence}, and {row.threshold:,.0f} is enough."


def _since(session: Session, release: Release) -> datetime:
    row = session.get(ReleaseHealth, release.id)
    return release.starts_at if row is None else row.since


def _keep(session: Session, seen: Look, *, now: datetime) -> ReleaseHealth:
    told = health_tests.told(health_tests.speaking(seen.found))
    values: dict[str, Any] = {
        "since": seen.since,
        "evaluated_at": now,
        **{name: value for name, value in told.items() if name != "curve"},
        "reported": seen.decided.devices,
        "enrolled": seen.decided.enrolled,
        "tests": [health_tests.told(each) for each in seen.found],
    }
    row = session.get(ReleaseHealth, seen.release_id)
    if row is None:
        row = ReleaseHealth(release_id=seen.release_id, is_bad=False, **values)
        session.add(row)
    else:
        for name, value in values.items():
            setattr(row, name, value)
    session.flush()
    return row


def _act(
    session: Session, release: Release, rules: Rules, found: ReleaseHealth, *, is_new: bool, now: datetime
) -> None:
    """Do what the policy says: told once, and stopped for as long as nobody has decided otherwise. Who resumes the release decides."""
    from ota.releases import acts as release_acts  # They ask this module when a person resumes one.

    why = sentence(found)
    if is_new:
        audit.record(
            session,
            SYSTEM,
            "release.found_bad",
            ("release", release.id),
            now=now,
            app_id=release.version.app_id,
            after={"version": release.version.version, "reason": why},
        )
    target = {HealthAction.HALT: ReleaseState.HALTED, HealthAction.ROLL_BACK: ReleaseState.ROLLED_BACK}.get(
        rules.action
    )
    if target is None or not may_move_release(ReleaseState(release.state), target):
        return
    if target is ReleaseState.HALTED and release.state != ReleaseState.ACTIVE:
        return  # A person has paused it.
    release_acts.change_state(
        session, SYSTEM, release, target, revision=release.revision, reason=why, now=now
    )


def _plain(rules: Rules) -> dict[str, Any]:
    policy = rules.policy
    return {
        "action": rules.action.value,
        "alpha": policy.alpha,
        "tolerated_ratio": policy.tolerated_ratio,
        "window_hours": int(policy.window / timedelta(hours=1)),
        "min_failing_devices": policy.min_failing_devices,
        "acceptable_rate": policy.acceptable_rate,
        "min_reports": rules.min_reports,
        "silence_hours": int(policy.silence / timedelta(hours=1)),
    }
