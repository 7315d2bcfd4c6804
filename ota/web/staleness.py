"""What somebody saw when they opened a form, and what has happened since."""

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
    """A form that came too late: ``saw`` is None where the form did not say what it was made from.

    ``since`` are the acts that came between, the last one first. ``action``, ``question`` and ``button`` make the form that does
    it all the same, with the fields in ``again``; without an ``action`` the form stands below with what was typed.
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
        return self.since[0].actor if self.since else None

    @property
    def at(self) -> datetime | None:
        return self.since[0].at if self.since else None


def events_of(session: Session, release: Release) -> Sequence[AuditEvent]:
    """Everything that was done to a release, the last act first."""
    return audit.history(session, subjects=[("release", release.id)], limit=1000)


def since(events: Sequence[AuditEvent], revision: int) -> list[AuditEvent]:
    """Those acts that came after a revision."""
    return [event for event in events if (event.after or {}).get("revision", 0) > revision]


def as_seen(release: Release, events: Sequence[AuditEvent], revision: int | None) -> str | None:
    """The release as it was at a revision, in words; None where that revision never was."""
    if revision is None or not 1 <= revision <= release.revision:
        return None
    seen: dict[str, Any] = {"state": release.state, "rollout": release.rollout}
    for event in since(events, revision):
        seen |= {name: value for name, value in (event.before or {}).items() if name in seen}
    return state_words(seen["state"], seen["rollout"])


def stale_release(session: Session, release: Release, revision: int | None, **more: Any) -> StaleForm:
    """Both states of a release that has changed since it was looked at."""
    events = events_of(session, release)
    return StaleForm(
        saw=as_seen(release, events, revision),
        now=state_words(release.state, release.rollout),
        revision=release.revision,
        since=since(events, revision or 0),
        **more,
    )


def stale_version(session: Session, version_id: int, *, revision: int, now: str, **more: Any) -> StaleForm:
    """The present state of a version, with the last thing that was done to it."""
    return StaleForm(
        saw=None, now=now, revision=revision, since=last_act(session, "version", version_id), **more
    )


def last_act(session: Session, kind: str, key: int) -> Sequence[AuditEvent]:
    """The last thing that was done to something, if anything was."""
    return audit.history(session, subjects=[(kind, key)], limit=1)
