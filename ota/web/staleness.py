"""Stale forms: the state when the form was opened, the current state, and the acts in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ota.history import audit
from ota.models import AuditEvent, Release
from ota.web.words import state_words


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleForm:
    """A form that is based on an old revision.

    ``saw`` is the state at that revision, or None if it is unknown.

    ``since`` has the acts in between, the newest first. ``action``, ``question`` and ``button`` make a form
    that does the act nevertheless, with the fields in ``again``. Without ``action`` the page shows the sent
    form again.
    """

    saw: str | None
    now: str
    revision: int
    since: Sequence[AuditEvent] = ()
    wanted: str = ""
    action: str | None = None
    question: str = ""
    button: str = ""
    again: Sequence[tuple[str, str]] = ()

    @property
    def by(self) -> str | None:
        """Author of the newest act in between."""
        return self.since[0].actor if self.since else None

    @property
    def at(self) -> datetime | None:
        """Time of the newest act in between."""
        return self.since[0].at if self.since else None


def events_of(session: Session, release: Release) -> Sequence[AuditEvent]:
    """Return all acts on a release, the newest first."""
    return audit.history(session, subjects=[("release", release.id)], limit=1000)


def since(events: Sequence[AuditEvent], revision: int) -> list[AuditEvent]:
    """Return the acts after a revision."""
    return [event for event in events if (event.after or {}).get("revision", 0) > revision]


def as_seen(release: Release, events: Sequence[AuditEvent], revision: int | None) -> str | None:
    """Return the state of a release at a revision, in words. None if there was no such revision."""
    if revision is None or not 1 <= revision <= release.revision:
        return None
    seen: dict[str, Any] = {"state": release.state, "rollout": release.rollout}
    for event in since(events, revision):
        seen |= {name: value for name, value in (event.before or {}).items() if name in seen}
    return state_words(seen["state"], seen["rollout"])


def stale_release(session: Session, release: Release, revision: int | None, **more: Any) -> StaleForm:
    """Return both states of a release that changed after a form was opened."""
    events = events_of(session, release)
    return StaleForm(
        saw=as_seen(release, events, revision),
        now=state_words(release.state, release.rollout),
        revision=release.revision,
        since=since(events, revision or 0),
        **more,
    )


def stale_version(session: Session, version_id: int, *, revision: int, now: str, **more: Any) -> StaleForm:
    """Return the current state of a version, with the newest act on it."""
    return StaleForm(
        saw=None, now=now, revision=revision, since=last_act(session, "version", version_id), **more
    )


def last_act(session: Session, kind: str, key: int) -> Sequence[AuditEvent]:
    """Return the newest act on a thing, or nothing."""
    return audit.history(session, subjects=[(kind, key)], limit=1)
