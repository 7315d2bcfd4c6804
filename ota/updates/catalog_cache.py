"""The compiled catalogs of every channel in memory, and the promise that they are current.

An answer given from here reflects the database as it was at most `STALE_AFTER` ago, or at the moment of the question when a look at
the database takes longer than that. When it can't be read, nothing is answered.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Hashable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ota import catalogs
from ota.apps import apps
from ota.core.catalog import Catalog
from ota.core.platforms import Platform
from ota.db import first_line
from ota.errors import NotFound
from ota.models import App, DeviceGroupMember, Version

log = logging.getLogger(__name__)

LOOK_AFTER = 0.75
"""Seconds after the beginning of a look when the next one is due. Whoever notices looks; the others go on with what they have."""

STALE_AFTER = 1.0
"""Seconds after the beginning of a look when nobody answers from it any more."""

_EAGER_FOR = 0.3
"""So long a look compiles what was in use. What is left is compiled when it is asked for."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What devices on one channel of an app are answered from, on one platform; nothing of it asks the database.

    ``members`` are the groups of each device (by its keyed hash), of those groups that a release is open to. ``versions`` are detached
    rows by their id. ``answers`` is room for the door that answers to keep what it made: it goes when anything changes.
    """

    channel_id: int
    platform: Platform
    catalog: Catalog
    versions: Mapping[int, Version]
    members: Mapping[str, frozenset[int]]
    answers: dict[Hashable, tuple[bytes, bytes]] = field(default_factory=dict)


def compiled(
    session: Session, slug: str, channel: str | None, platform: Platform, *, now: datetime
) -> Stream:
    """Read one stream. Raises `NotFound` when the app or the channel is not there."""
    channel_id = apps.find_channel_id(session, slug, channel)
    catalog = catalogs.load(session, channel_id, platform, at=now)
    wanted = {candidate.version_id for candidate in catalog.candidates}
    versions = {
        version.id: version for version in session.scalars(select(Version).where(Version.id.in_(wanted)))
    }
    groups = frozenset[int]().union(*(candidate.groups for candidate in catalog.candidates))
    return Stream(channel_id, platform, catalog, versions, _members(session, groups))


def _members(session: Session, groups: Collection[int]) -> Mapping[str, frozenset[int]]:
    members: dict[str, frozenset[int]] = {}
    for group_id in sorted(groups):
        alone = frozenset({group_id})
        for device_hash in session.scalars(
            select(DeviceGroupMember.device_hash).where(DeviceGroupMember.group_id == group_id)
        ):
            members[device_hash] = members[device_hash] | alone if device_hash in members else alone
    return members


_Key = tuple[str | None, Platform]


@dataclass(frozen=True, slots=True)
class _App:
    """An app at one revision, with the streams of it that were asked for."""

    app_id: int
    slug: str
    revision: int
    streams: dict[_Key, Stream] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _View:
    """What one look at the database found, which knew of so many changes. ``by_name`` has the default app under None."""

    began: float
    changes: int
    by_name: Mapping[str | None, _App]


class _Look:
    """A look that is under way, for those who wait for it."""

    def __init__(self) -> None:
        self.is_done = threading.Event()
        self.error: Exception | None = None


class CatalogCache:
    """The streams of one web process. ``open_session`` gives a session that sees one state of the database. Any thread may ask."""

    def __init__(
        self,
        open_session: Callable[[], AbstractContextManager[Session]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open = open_session
        self._clock = clock
        self._lock = threading.Lock()
        self._compiling = threading.Lock()
        self._changes = 0
        self._view = _View(began=0.0, changes=-1, by_name={})
        self._look: _Look | None = None
        self._fresh_until = float("-inf")
        """Until then nobody has to think about it: the only thing that is looked at in most checks."""

    def stream(self, slug: str | None, channel: str | None, platform: Platform, *, now: datetime) -> Stream:
        """The stream as it is now. Raises `NotFound` as `apps` does, and the database's own errors when it has to be read and can't be."""
        view = self._view if self._clock() < self._fresh_until else self._current(now)
        app = view.by_name.get(slug or None)
        found = None if app is None else app.streams.get((channel or None, platform))
        return found or self._added(slug, channel, platform, now)

    def expire(self) -> None:
        """Something changed, and this process knows it: whatever was read before this moment answers nobody any more."""
        with self._lock:
            self._changes += 1
            self._fresh_until = float("-inf")

    def _current(self, now: datetime) -> _View:
        """A view that may be answered from; looks at the database, or waits for whoever does, when it must."""
        arrived = self._clock()
        while True:
            with self._lock:
                view, is_usable = self._view, self._is_usable(self._view, arrived)
                if is_usable and self._clock() < self._fresh_until:
                    return view
                look, is_mine = self._look or _Look(), self._look is None
                self._look = look
            if is_mine:
                self._run(look, now)
            elif is_usable:
                return view
            else:
                look.is_done.wait()
            if look.error is not None:
                if is_usable and self._is_usable(view, arrived):
                    return view
                raise look.error
            if self._is_usable(self._view, arrived):
                return self._view

    def _is_usable(self, view: _View, arrived: float) -> bool:
        if view.changes != self._changes:
            return False
        return view.began >= arrived or self._clock() - view.began < STALE_AFTER

    def _run(self, look: _Look, now: datetime) -> None:
        try:
            view = self._read(now)
            with self._lock:
                self._view = view
                if view.changes == self._changes:
                    self._fresh_until = view.began + LOOK_AFTER
        except Exception as error:
            look.error = error
            if isinstance(error, SQLAlchemyError):
                log.warning("the catalogs can't be read: %s", first_line(error))
        finally:
            with self._lock:
                self._look = None
            look.is_done.set()

    def _read(self, now: datetime) -> _View:
        began, changes = self._clock(), self._changes
        known = {app.app_id: app for app in self._view.by_name.values()}
        by_name: dict[str | None, _App] = {}
        with self._open() as session:
            for app_id, slug, is_default, revision in session.execute(
                select(App.id, App.slug, App.is_default, App.catalog_revision)
            ):
                app = known.get(app_id)
                if app is None or app.revision != revision:
                    app = _App(app_id, slug, revision, self._again(session, app, began, now))
                by_name[slug] = app
                if is_default:
                    by_name[None] = app
        return _View(began, changes, by_name)

    def _again(self, session: Session, app: _App | None, began: float, now: datetime) -> dict[_Key, Stream]:
        streams: dict[_Key, Stream] = {}
        if app is None:
            return streams
        for channel, platform in tuple(app.streams):
            if self._clock() - began > _EAGER_FOR:
                break
            try:
                streams[channel, platform] = compiled(session, app.slug, channel, platform, now=now)
            except NotFound:
                continue  # The channel has gone; whoever asks for it is told so.
        return streams

    def _added(self, slug: str | None, channel: str | None, platform: Platform, now: datetime) -> Stream:
        """The first question about a stream: one thread compiles it."""
        key = (channel or None, platform)
        app = self._current(now).by_name.get(slug or None)
        if app is None:
            with self._open() as session:
                # Not there, or made elsewhere a moment ago: the next look will know it.
                return compiled(session, apps.find(session, slug).slug, channel, platform, now=now)
        with self._compiling:
            if key not in app.streams:
                with self._open() as session:
                    # Read after the app's revision was: at least as new, and compiled again if that turns out to be older.
                    app.streams[key] = compiled(session, app.slug, channel, platform, now=now)
            return app.streams[key]
