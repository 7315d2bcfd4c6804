"""Watching releases: run the tests of one release, keep what they found, and act on it as the app's policy says.

One look reads for as long as there are devices; only what it keeps is written in a short transaction.
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
from ota.health import evaluate as health_tests
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


def note_silence(session: Session, release_id: int, *, now: datetime) -> None:
    """Notice who has ceased to call, where the app's policy asks for it; before a `look`."""
    release = release_rows.get(session, release_id)
    policy = rules_of(session, release.version.app_id).policy
    if policy.silence:
        silence.note(session, release, policy, since=findings.since_of(session, release), now=now)


def look(session: Session, release_id: int, *, now: datetime) -> Look:
    """Ask the tests once more. Reads only, and as long as there are devices: nobody has to wait for it."""
    release = release_rows.get(session, release_id)
    policy, since = rules_of(session, release.version.app_id).policy, findings.since_of(session, release)
    seen = health_tests.observe(session, release, policy, since)
    return Look(
        release_id,
        release.revision,
        since,
        health_tests.run(release, seen, policy, now),
        health_tests.count_reported(session, release, policy, now),
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
    row = findings.keep(session, seen, now=now)
    row.is_bad = was_bad or any(each.verdict.is_bad for each in seen.found)
    row.is_suspect = row.is_bad or seen.is_suspect
    if row.is_bad:
        _act(session, release, rules_of(session, release.version.app_id), row, is_new=not was_bad, now=now)
    return row


def evaluate(session: Session, release_id: int, *, now: datetime) -> ReleaseHealth | None:
    """All of it at once."""
    note_silence(session, release_id, now=now)
    return conclude(session, look(session, release_id, now=now), now=now)


def begin_anew(
    session: Session, actor: Actor, release: Release, *, revision: int | None = None, now: datetime
) -> Release:
    """A person has looked at a release that was found bad and lets it go on: a new test begins. Raises `Conflict` when it was not."""
    if not findings.was_found_bad(session, release) or release.state not in LIVE_STATES:
        raise Conflict(
            "not_found_bad",
            "No test has found this release bad, so there is none to begin anew.",
            current=summary(release),
        )
    findings.restart(session, release, now=now)
    release_rows.change(session, actor, release, "test_anew", {}, revision=revision, now=now)
    return release


def _act(
    session: Session, release: Release, rules: Rules, found: ReleaseHealth, *, is_new: bool, now: datetime
) -> None:
    """Do what the policy says: told once, and stopped for as long as nobody has decided otherwise. Who resumes the release decides."""

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


def look_once(release_id: int) -> None:
    """Look, and keep what was found unless somebody changed the release meanwhile: then the next look finds out."""
    with transaction() as session:
        note_silence(session, release_id, now=utcnow())
    reader().rollback()
    seen = look(reader(), release_id, now=utcnow())
    reader().rollback()
    try:
        with transaction() as session:
            conclude(session, seen, now=utcnow())
    except Conflict:
        log.info("release %d was changed while it was looked at: it is looked at again", release_id)
