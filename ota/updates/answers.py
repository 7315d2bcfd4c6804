"""Answer update checks. Which version a device gets is decided by `ota.core.decision.decide`, called in
`check`.

`ota.web.updates.hot_path` calls these functions for every check: `stream_of` finds the compiled catalog,
`check` asks for the decision, and `question_key` tells which questions have the same answer, so that it is
computed once.
"""

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

_MAX_DRAWS = 8
"""With more partial releases than this, deciding costs less than drawing a bucket for each of them."""


class Question(Protocol):
    """A decoded update check. Fields that the device left out are None."""

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


class Answer(NamedTuple):
    """A decision, and the stream that it was made from.

    ``is_withdrawn``: the device runs a withdrawn version.
    """

    decision: Decision
    stream: Stream
    is_withdrawn: bool


def stream_of(streams: CatalogCache, question: Question, *, now: datetime) -> Stream:
    """Return the stream that answers the question.

    Raises `Invalid` for an unknown platform, `NotFound` for an unknown app or channel.
    """
    return streams.stream(question.app, question.channel, apps.find_platform(question.platform), now=now)


def groups_of(stream: Stream, question: Question, secret: str) -> frozenset[int]:
    """Return the ids of the device's groups. ``secret`` is the key of `devices.hashed`."""
    if not stream.members or not question.device_id:
        return _NO_GROUPS
    return stream.members.get(devices.hashed(secret, question.device_id), _NO_GROUPS)


def question_key(
    stream: Stream, question: Question, groups: frozenset[int], *, now: datetime
) -> Hashable | None:
    """Return a key that is equal for questions with the same answer from this stream.

    None if computing the key would cost more than the answer.
    """
    catalog = stream.catalog
    if len(catalog.draws) > _MAX_DRAWS:
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
    """Decide what the device is offered. Raises `Invalid` for a question that can't be answered."""
    current, device_id = parsed_version(question.current_version), question.device_id or None
    check_device_id(device_id)
    os = None if question.os_version is None else os_numbers(question.os_version)
    abis = frozenset(question.abis) if question.abis else _NO_ABIS
    query = UpdateQuery(current, device_id, question.user_initiated, groups, question.sdk, os, abis)
    return Answer(decide(query, stream.catalog, now), stream, stream.catalog.has_withdrawn(current))


def latest(
    session: Session, *, app: str | None, platform: str, channel: str | None, now: datetime
) -> Version:
    """Return the newest version that is open to all devices. Raises `NotFound` if there is none."""
    found = apps.find(session, app)
    on = apps.find_platform(platform)
    stream = apps.find_channel(found, channel)
    candidate = latest_for_everybody(catalogs.load(session, stream.id, on), now)
    if candidate is None:
        raise NotFound("no_release", f"{found.name} has no release for everybody on {on.label} yet.")
    return session.get_one(Version, candidate.version_id)


def parsed_version(text: str) -> CurrentVersion:
    """Parse the version that a device runs. Raises `Invalid` for a text that is none."""
    try:
        return parse_current_version(text)
    except ValueError as error:
        raise Invalid.about("current_version", "bad_current_version", f"{error}") from error


def check_device_id(device_id: str | None) -> None:
    """Raise `Invalid` for a device id that is too long."""
    if device_id is not None and len(device_id) > MAX_DEVICE_ID:
        raise Invalid.about("device_id", "bad_device_id", f"expected at most {MAX_DEVICE_ID} characters.")
