"""Answering devices: which version, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from ota.core.decision import Decision, Offer, UpdateQuery, decide, latest_for_everybody
from ota.core.platforms import Platform
from ota.core.versions import parse_current_version
from ota.errors import Invalid, NotFound
from ota.models import Version
from ota.services import apps, catalogs

MAX_DEVICE_ID = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An update check as it came in, parsed but not yet looked up."""

    platform: str
    current_version: str
    device_id: str | None = None
    app: str | None = None
    channel: str | None = None
    user_initiated: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The decision, with the version it is about when there is one to offer, and what was asked."""

    decision: Decision
    version: Version | None
    channel_id: int
    platform: Platform
    query: UpdateQuery


def check(session: Session, question: Question, *, now: datetime) -> Answer:
    """What this device is offered. Raises `Invalid` or `NotFound` for what can't be answered."""
    platform = apps.find_platform(question.platform)
    query = _query(question)
    channel_id = apps.find_channel_id(session, question.app, question.channel)
    decision = decide(query, catalogs.load(session, channel_id, platform), now)
    version = session.get_one(Version, decision.candidate.version_id) if isinstance(decision, Offer) else None
    return Answer(decision, version, channel_id, platform, query)


def latest(session: Session, *, app: str | None, platform: str, channel: str | None, now: datetime) -> Version:
    """The newest version that is open to everybody. Raises `NotFound` when there is none."""
    found = apps.find(session, app)
    on = apps.find_platform(platform)
    stream = apps.find_channel(found, channel)
    candidate = latest_for_everybody(catalogs.load(session, stream.id, on), now)
    if candidate is None:
        raise NotFound("no_release", f"{found.name} has no release for everybody on {on.label} yet.")
    return session.get_one(Version, candidate.version_id)


def _query(question: Question) -> UpdateQuery:
    try:
        current = parse_current_version(question.current_version)
    except ValueError as error:
        raise Invalid("bad_current_version", f"current_version: {error}", field="current_version") from error
    if question.device_id is not None and len(question.device_id) > MAX_DEVICE_ID:
        raise Invalid("bad_device_id", f"device_id: expected at most {MAX_DEVICE_ID} characters.", field="device_id")
    return UpdateQuery(current, question.device_id or None, question.user_initiated)
