"""The compiled catalogs of all channels in memory, and the guarantee that they are current.

An answer from here reflects the database as it was at most `STALE_AFTER` seconds ago; if reading the database
takes longer, as it was when the question arrived. If the database can't be read, no question is answered.
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

REFRESH_AFTER = 0.75
"""Seconds from the start of a refresh until the next one is due.

The thread that notices it refreshes; the others go on with the present view.
"""

STALE_AFTER = 1.0
"""Seconds from the start of a refresh until its view is too old to answer from."""

_EAGER_FOR = 0.3
"""Time budget in seconds for recompiling catalogs in use. The others are compiled at their next question."""

EncodedAnswer = tuple[bytes, bytes]
"""The bytes of an answer, and the mark that the journal's records of checks with this answer share."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Everything that answers devices on one channel of an app, on one platform, without the database.

    ``members`` has the groups of each device, by its keyed hash, as far as releases are open to groups.
    ``versions`` are detached rows by their id. The answers are kept by the hot path, and dropped when
    anything changes: ``by_question`` has them by question and locale, ``by_decision`` by decision and
    language of the notes.
    """

    channel_id: int
    platform: Platform
    catalog: Catalog
    versions: Mapping[int, Version]
    members: Mapping[str, frozenset[int]]
    by_question: dict[tuple[Hashable, str | None], EncodedAnswer] = field(default_factory=dict)
    by_decision: dict[Hashable, EncodedAnswer] = field(default_factory=dict)


def compiled(
    session: Session, slug: str, channel: str | None, platform: Platform, *, now: datetime
) -> Stream:
    """Read one stream. Raises `NotFound` for an unknown app or channel."""
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
"""Channel and platform. None is the default channel."""


@dataclass(frozen=True, slots=True)
class _App:
    """An app at one revision, with those of its streams that were asked for."""

    app_id: int
    slug: str
    revision: int
    streams: dict[_Key, Stream] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _View:
    """The result of one refresh. ``changes`` is the number of changes that it includes.

    ``by_name`` has the default app under None as well.
    """

    began: float
    changes: int
    by_name: Mapping[str | None, _App]


class _Refresh:
    """A refresh in progress, for the threads that wait for it."""

    def __init__(self) -> None:
        self.is_done = threading.Event()
        self.error: Exception | None = None


class CatalogCache:
    """The streams of one web process. Any thread can ask.

    ``open_session`` opens a session that sees one state of the database.
    """

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
        self._refresh: _Refresh | None = None
        self._fresh_until = float("-inf")
        """Until then the view is used without any lock: most checks read nothing else."""

    def stream(self, slug: str | None, channel: str | None, platform: Platform, *, now: datetime) -> Stream:
        """Return the current stream.

        Raises `NotFound` for an unknown app or channel, and the errors of a database that can't be read.
        """
        view = self._view if self._clock() < self._fresh_until else self._current(now)
        app = view.by_name.get(slug or None)
        found = None if app is None else app.streams.get((channel or None, platform))
        return found or self._added(slug, channel, platform, now)

    def expire(self) -> None:
        """Stop answering from everything read so far, because this process has changed something."""
        with self._lock:
            self._changes += 1
            self._fresh_until = float("-inf")

    def _current(self, now: datetime) -> _View:
        """A view that can answer. Refreshes it if it is due, or waits for the thread that does if it must."""
        arrived = self._clock()
        while True:
            with self._lock:
                view, is_usable = self._view, self._is_usable(self._view, arrived)
                if is_usable and self._clock() < self._fresh_until:
                    return view
                refresh, is_mine = self._refresh or _Refresh(), self._refresh is None
                self._refresh = refresh
            if is_mine:
                self._run(refresh, now)
            elif is_usable:
                return view
            else:
                refresh.is_done.wait()
            if refresh.error is not None:
                if is_usable and self._is_usable(view, arrived):
                    return view
                raise refresh.error
            if self._is_usable(self._view, arrived):
                return self._view

    def _is_usable(self, view: _View, arrived: float) -> bool:
        if view.changes != self._changes:
            return False
        return view.began >= arrived or self._clock() - view.began < STALE_AFTER

    def _run(self, refresh: _Refresh, now: datetime) -> None:
        try:
            view = self._read(now)
            with self._lock:
                self._view = view
                if view.changes == self._changes:
                    self._fresh_until = view.began + REFRESH_AFTER
        except Exception as error:
            refresh.error = error
            if isinstance(error, SQLAlchemyError):
                log.warning("the catalogs can't be read: %s", first_line(error))
        finally:
            with self._lock:
                self._refresh = None
            refresh.is_done.set()

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
                    app = _App(app_id, slug, revision, self._recompiled(session, app, began, now))
                by_name[slug] = app
                if is_default:
                    by_name[None] = app
        return _View(began, changes, by_name)

    def _recompiled(
        self, session: Session, app: _App | None, began: float, now: datetime
    ) -> dict[_Key, Stream]:
        streams: dict[_Key, Stream] = {}
        if app is None:
            return streams
        for channel, platform in tuple(app.streams):
            if self._clock() - began > _EAGER_FOR:
                break
            try:
                streams[channel, platform] = compiled(session, app.slug, channel, platform, now=now)
            except NotFound:
                continue  # The channel was deleted. The next question for it raises this error again.
        return streams

    def _added(self, slug: str | None, channel: str | None, platform: Platform, now: datetime) -> Stream:
        """Compile a stream at its first question, in one thread."""
        key = (channel or None, platform)
        app = self._current(now).by_name.get(slug or None)
        if app is None:
            with self._open() as session:
                # Unknown, or created by another process a moment ago: the next refresh will know it.
                return compiled(session, apps.find(session, slug).slug, channel, platform, now=now)
        with self._compiling:
            if key not in app.streams:
                with self._open() as session:
                    # Read after the app's revision: at least as new, and recompiled if the revision has
                    # changed.
                    app.streams[key] = compiled(session, app.slug, channel, platform, now=now)
            return app.streams[key]
