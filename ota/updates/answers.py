"""Answering devices: which version, and why."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from sqlalchemy.orm import Session

from ota import catalogs
from ota.apps import apps
from ota.core.decision import Decision, UpdateQuery, decide, latest_for_everybody
from ota.core.platforms import os_numbers
from ota.core.versions import CurrentVersion, parse_current_version
from ota.devices import devices
from ota.devices.devices import MAX_DEVICE_ID
from ota.errors import Invalid, NotFound
from ota.models import Version
from ota.updates.catalog_cache import CatalogCache, Stream

_NO_GROUPS: frozenset[int] = frozenset()
_NO_ABIS: frozenset[str] = frozenset()


class Question(Protocol):
    """An update check as it came in, parsed but not yet looked up. What the device did not say is None."""

    platform: str
    current_version: str
    device_id: str | None
    app: str | None
    channel: str | None
    user_initiated: bool
    sdk: int | None
    os_version: str | None

    @property
    def abis(self) -> Sequence[str] | None: ...


MOST_DRAWS = 8
"""With more partial releases than that, deciding costs less than drawing for each of them."""


class Answer(NamedTuple):
    """The decision, and the stream that it was made from. ``is_withdrawn``: the device runs a withdrawn version."""

    decision: Decision
    stream: Stream
    is_withdrawn: bool


def stream_of(streams: CatalogCache, question: Question, *, now: datetime) -> Stream:
    """What the device's question is answered from. Raises `Invalid` or `NotFound` when there is no such platform, app or channel."""
    return streams.stream(question.app, question.channel, apps.find_platform(question.platform), now=now)


def groups_of(stream: Stream, question: Question, secret: str) -> frozenset[int]:
    """The device's groups. ``secret`` is the key under which device ids are kept, see `devices.hashed`."""
    if not stream.members or not question.device_id:
        return _NO_GROUPS
    return stream.members.get(devices.hashed(secret, question.device_id), _NO_GROUPS)


def likeness(stream: Stream, question: Question, groups: frozenset[int], *, now: datetime) -> Hashable | None:
    """Equal for two questions that this stream answers alike. None where finding out would cost more than answering."""
    catalog = stream.catalog
    if len(catalog.draws) > MOST_DRAWS:
        return None
    abis = question.abis
    return (
        question.current_version,
        catalog.drawn(question.device_id),
        catalog.stage(now),
        question.user_initiated,
        groups,
        question.sdk,
        question.os_version,
        tuple(abis) if abis else None,
    )


def check(stream: Stream, question: Question, groups: frozenset[int], *, now: datetime) -> Answer:
    """What this device is offered. Raises `Invalid` for what can't be answered."""
    current, device_id = _current(question), question.device_id or None
    os = None if question.os_version is None else os_numbers(question.os_version)
    abis = frozenset(question.abis) if question.abis else _NO_ABIS
    query = UpdateQuery(current, device_id, question.user_initiated, groups, question.sdk, os, abis)
    return Answer(decide(query, stream.catalog, now), stream, stream.catalog.has_withdrawn(current))


def latest(
    session: Session, *, app: str | None, platform: str, channel: str | None, now: datetime
) -> Version:
    """The newest version that is open to everybody. Raises `NotFound` when there is none."""
    found = apps.find(session, app)
    on = apps.find_platform(platform)
    stream = apps.find_channel(found, channel)
    candidate = latest_for_everybody(catalogs.load(session, stream.id, on), now)
    if candidate is None:
        raise NotFound("no_release", f"{found.name} has no release for everybody on {on.label} yet.")
    return session.get_one(Version, candidate.version_id)


def _current(question: Question) -> CurrentVersion:
    try:
        current = parse_current_version(question.current_version)
    except ValueError as error:
        raise Invalid.about("current_version", "bad_current_version", f"{error}") from error
    if question.device_id is not None and len(question.device_id) > MAX_DEVICE_ID:
        raise Invalid.about("device_id", "bad_device_id", f"expected at most {MAX_DEVICE_ID} characters.")
    return current
