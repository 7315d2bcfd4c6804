"""Counting the journal: ``python -m ota.telemetry.drain`` goes on until it is told to stop.

One process of each machine that serves devices does it. What is counted and how far the journal was read are written in one transaction, so
a batch counts once, wherever this process or the database ends; then the counted bytes are wiped. While the database is away the journal
waits. A record that can't be counted is set aside.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple

from flask import Flask
from sqlalchemy.exc import InternalError, ProgrammingError

from ota.clock import utcnow
from ota.config import Settings
from ota.db import AWAY, first_line, reader, transaction
from ota.journal import Segment, forget_old, segments, set_aside
from ota.parts import part
from ota.telemetry import counting, records

log = logging.getLogger(__name__)

EVERY = 0.5
_BATCH = 1_000
_AFTER_FAILURE = 5.0
_LAST_WORDS = 10.0
"""So many seconds are waited at the end for the web processes to end too: what they still write is counted and leaves the disk."""

_WORLD = (*AWAY, ProgrammingError, InternalError)
"""No record is to blame: the database is away, or its tables are not those of this version yet."""

_TIDIED_EVERY = 3600.0
_AHEAD = timedelta(seconds=10)
_FIRST = datetime.min.replace(tzinfo=UTC), False


class _Overtaken(Exception):
    """Another process counts the same journal."""


@dataclass
class _Source:
    """A segment that is being read, from ``begin`` on. ``counted`` is how far it was counted, as the database knows it; ``end`` where the
    last record ends, None as long as that is not known."""

    segment: Segment
    counted: int
    begin: int
    is_finished: bool
    end: int | None = None


class _Taken(NamedTuple):
    """A record that waits to be counted, and the position after it."""

    source: _Source
    payload: bytes
    after: int
    moment: tuple[datetime, bool]


class Drainer:
    """Counts what the web processes of this machine wrote down."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._settings = part(Settings, app)
        self._folder = self._settings.journal_path
        self._counted: dict[str, int] = {}
        self._tidied = float("-inf")

    def drain(self, is_over: Callable[[], bool] = lambda: False) -> int:
        """Count everything that is there, or stop after a batch when it is over; answers how many records. Raises what the database raises:
        then the rest waits."""
        counted = 0
        with self._app.app_context():
            sources = self._sources()
            try:
                waiting = _in_order(sources)
                while not is_over() and (batch := list(islice(waiting, _BATCH))):
                    self._settle(batch)
                    counted += len(batch)
                self._finish(sources)
            except _Overtaken:
                self._counted.clear()
        return counted

    def _sources(self) -> list[_Source]:
        found, before, self._counted = [], self._counted, {}
        for segment in segments(self._folder):
            is_finished = segment.is_finished()
            begin = position = before.get(segment.name, counting.DONE)
            if segment.name not in before:
                begin = position = counting.position(reader(), segment.name)
                reader().rollback()
                if position == counting.DONE:
                    segment.delete()  # Whoever counted it died before that.
                    continue
                _wipe(segment, 0, position)
                if not segment.has_more(position):
                    begin = segment.after_wiped(position)
            self._counted[segment.name] = position
            found.append(_Source(segment, position, begin, is_finished))
        return found

    def _settle(self, batch: Sequence[_Taken]) -> None:
        """Count a batch; where that fails because of a record, find it, and count the others."""
        try:
            self._count(batch)
        except (_Overtaken, *_WORLD):
            raise
        except Exception as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                self._settle(batch[:middle])
                self._settle(batch[middle:])
                return
            (record,) = batch
            kept = set_aside(self._folder, record.source.segment.name, record.source.counted, record.payload)
            log.error(
                "a record of a device can't be counted; %s",
                f"it is set aside as {kept}" if kept else "it is lost",
                exc_info=error,
            )
            self._count(batch, is_counted=False)

    def _count(self, batch: Sequence[_Taken], *, is_counted: bool = True) -> None:
        now = utcnow()
        ends = {each.source.segment.name: (each.source, each.after) for each in batch}
        with transaction() as session:
            for name, (source, after) in sorted(ends.items(), key=lambda end: end[0]):
                if not counting.move(session, name, since=source.counted, to=after, now=now):
                    raise _Overtaken
            payloads = [each.payload for each in batch] if is_counted else []
            unreadable = counting.count(session, payloads, secret=self._settings.secret_key, now=now)
        if unreadable:
            log.error("%d records of the journal can't be read and are not counted", unreadable)
        for name, (source, after) in ends.items():
            since, source.counted = source.counted, after
            self._counted[name] = after
            _wipe(source.segment, since, after)

    def _finish(self, sources: Sequence[_Source]) -> None:
        """Delete the segments that are counted to the end and that nobody writes to."""
        for source in sources:
            if not source.is_finished or source.end != source.counted:
                continue
            with transaction() as session:
                if not counting.finish(session, source.segment.name, since=source.counted, now=utcnow()):
                    raise _Overtaken
            source.segment.delete()
            del self._counted[source.segment.name]

    def run(self, stop: threading.Event) -> None:
        """Drain again and again until told to stop, and then what the web processes write in the end."""
        pause = EVERY
        while not stop.wait(pause):
            pause = EVERY if self._drained(stop.is_set) else _AFTER_FAILURE
        end = time.monotonic() + _LAST_WORDS
        while (
            self._drained(lambda: time.monotonic() >= end)
            and segments(self._folder)
            and time.monotonic() < end
        ):
            time.sleep(EVERY / 2)

    def _drained(self, is_over: Callable[[], bool]) -> bool:
        """What can't be counted today must not end the counting."""
        try:
            self.drain(is_over)
            if time.monotonic() >= self._tidied + _TIDIED_EVERY:
                forget_old(self._folder)
                self._tidied = time.monotonic()
        except AWAY as error:
            log.warning("the journal waits, the database does not answer: %s", first_line(error))
            return False
        except Exception:
            log.exception("the journal waits")
            return False
        return True


def _wipe(segment: Segment, since: int, to: int) -> None:
    try:
        segment.wipe(since, to)
    except OSError as error:  # They are counted all the same.
        log.error("%s: counted reports can't be wiped: %s", segment.path, error)


def _in_order(sources: Sequence[_Source]) -> Iterator[_Taken]:
    """The records of all segments in the order in which they came: a device's check may stand in one, and its events in another."""
    now, found = utcnow(), []
    for each in sources:
        if each.segment.has_more(each.begin):
            found.append(each)
        else:
            each.end = each.begin
    if len(found) == len(sources) == 1:
        return _records(found[0], None)
    return heapq.merge(*(_records(each, now) for each in found), key=lambda taken: taken.moment)


def _records(source: _Source, now: datetime | None) -> Iterator[_Taken]:
    """The records of a segment. ``now`` is when the first one was begun to be read, where there are several: what came after that waits for
    the next look, or an event could be counted before a check that came earlier, into a segment that was read already."""
    last, end = _FIRST, source.begin
    for payload, after in source.segment.records(source.begin):
        if now is not None:
            moment = records.moment(payload)
            last = max(last, moment)
            if now < moment[0] <= now + _AHEAD:  # Beyond that the clock was set back.
                return
        yield _Taken(source, payload, after, last)
        end = after
    source.end = end
