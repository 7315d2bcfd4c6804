"""The watch: evaluate the health tests of releases, and stop a bad release as the app's policy says.

The time that a look takes grows with the number of devices, so it only reads. A short transaction stores its
result.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ota.clock import utcnow
from ota.core.lifecycle import LIVE_STATES, HealthAction, ReleaseState, may_move_release
from ota.core.rollout import FULL
from ota.db import reader, transaction
from ota.errors import Conflict
from ota.health import evaluate as health_evaluate
from ota.health import findings, silence
from ota.health.findings import Look
from ota.health.policy import WATCHED_FOR, Rules, rules_of
from ota.history import audit
from ota.history.audit import SYSTEM, Actor
from ota.models import App, Release, ReleaseHealth, Version
from ota.releases import acts as release_acts
from ota.releases import rows as release_rows
from ota.releases.rows import summary

log = logging.getLogger(__name__)

_TARGETS = {HealthAction.HALT: ReleaseState.HALTED, HealthAction.ROLL_BACK: ReleaseState.ROLLED_BACK}
"""The state of a bad release under each policy. Any other policy only notifies."""


def watched(session: Session, *, now: datetime) -> Sequence[int]:
    """Return the ids of releases to watch: started, active or paused, of an app that keeps data on devices.

    A partial release is always watched, another one for `WATCHED_FOR` after it started, was opened to all
    devices, or got a new test.
    """
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


def note_silence(session: Session, release_id: int, *, now: datetime) -> None:
    """Mark devices that have fallen silent, if the app's policy tests for silence. Runs before a `look`."""
    release = release_rows.get(session, release_id)
    policy = rules_of(session, release.version.app_id).policy
    if policy.silence:
        silence.note(session, release, policy, since=findings.since_of(session, release), now=now)


def look(session: Session, release_id: int, *, now: datetime) -> Look:
    """Evaluate the tests of a release. Reads only, so that a slow look blocks nothing."""
    release = release_rows.get(session, release_id)
    policy, since = rules_of(session, release.version.app_id).policy, findings.since_of(session, release)
    seen = health_evaluate.observe(session, release, policy, since)
    return Look(
        release_id,
        release.revision,
        since,
        health_evaluate.run(release, seen, policy, now),
        health_evaluate.count_reported(session, release, policy, now),
        health_evaluate.is_suspect(release, seen, policy, now),
    )


def conclude(session: Session, seen: Look, *, now: datetime) -> ReleaseHealth | None:
    """Store the result of a look and act on it as the policy says.

    Return None, with nothing stored, if the release has changed since the look. Raises `Conflict` if it
    changes at the same moment; the caller must then store nothing either. In both cases the next look
    decides.
    """
    release = release_rows.get(session, seen.release_id)
    before = session.get(ReleaseHealth, seen.release_id)
    if release.revision != seen.revision or (before is not None and before.since != seen.since):
        return None
    was_bad = before is not None and before.is_bad
    row = findings.keep(session, seen, now=now)
    row.is_bad = was_bad or any(each.verdict.is_bad for each in seen.found)
    row.is_suspect = row.is_bad or seen.is_suspect
    if row.is_bad:
        _act(session, release, rules_of(session, release.version.app_id), row, is_new=not was_bad, now=now)
    return row


def evaluate(session: Session, release_id: int, *, now: datetime) -> ReleaseHealth | None:
    """Note silence, look and conclude in one transaction.

    For scripts and tests; the scheduler uses `look_once`.
    """
    note_silence(session, release_id, now=now)
    return conclude(session, look(session, release_id, now=now), now=now)


def begin_new_test(
    session: Session, actor: Actor, release: Release, *, revision: int | None = None, now: datetime
) -> Release:
    """Begin a new test of a live release that was found bad, so that it goes on.

    Raises `Conflict` for any other release.
    """
    if not findings.was_found_bad(session, release) or release.state not in LIVE_STATES:
        raise Conflict(
            "not_found_bad",
            "No test has found this release bad, so there is none to begin anew.",
            current=summary(release),
        )
    findings.restart(session, release, now=now)
    release_rows.change(session, actor, release, "test_anew", {}, revision=revision, now=now)
    return release


def look_once(release_id: int) -> None:
    """Look at a release and store the result. If the release changed meanwhile, the next look decides."""
    with transaction() as session:
        note_silence(session, release_id, now=utcnow())
    reader().rollback()
    seen = look(reader(), release_id, now=utcnow())
    reader().rollback()
    try:
        with transaction() as session:
            conclude(session, seen, now=utcnow())
    except Conflict:
        log.info("release %d was changed during its health test: it is tested again", release_id)


def _act(
    session: Session, release: Release, rules: Rules, found: ReleaseHealth, *, is_new: bool, now: datetime
) -> None:
    """Record a new finding once, and stop the release as the policy says, until a person resumes it."""
    why = findings.sentence(found)
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
    target = _TARGETS.get(rules.action)
    if target is None or not may_move_release(ReleaseState(release.state), target):
        return
    if target is ReleaseState.HALTED and release.state != ReleaseState.ACTIVE:
        return  # It is paused: a person has stopped it already.
    release_acts.change_state(
        session, SYSTEM, release, target, revision=release.revision, reason=why, now=now
    )
