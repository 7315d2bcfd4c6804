"""Count the journal: ``python -m ota.programs.count_reports`` runs a `Drainer` until it is stopped.

Each machine that serves devices runs one. Counts and the position in the journal are written in one
transaction, so a batch counts once wherever this process or the database dies; the counted bytes are wiped
afterwards. While the database is away the journal waits. A record that can't be counted is set aside.
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

_PAUSE = 0.5
"""Seconds between two drains."""

_PAUSE_AFTER_FAILURE = 5.0
_BATCH = 1_000

_FINAL_DRAIN = 10.0
"""Seconds that a stopped drainer goes on, so that the last records of ending web processes count."""

_NOT_A_RECORD = (*AWAY, ProgrammingError, InternalError)
"""Errors that no record causes: the database is away, or its tables are those of another version."""

_TIDY_EVERY = 3600.0
_CLOCK_SET_BACK = timedelta(seconds=10)
_OLDEST = datetime.min.replace(tzinfo=UTC), False


class _Overtaken(Exception):
    """Another process counts the same journal."""


@dataclass
class _Source:
    """A segment that is being read from ``begin`` on.

    ``counted`` is the position in the database. ``end`` is the end of the last record, None until it is
    known.
    """

    segment: Segment
    counted: int
    begin: int
    is_finished: bool
    end: int | None = None


class _Waiting(NamedTuple):
    """A record that waits to be counted. ``after`` is the position after it."""

    source: _Source
    payload: bytes
    after: int
    moment: tuple[datetime, bool]


class Drainer:
    """Counts what the web processes of this machine wrote to the journal."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._settings = part(Settings, app)
        self._folder = self._settings.journal_path
        self._counted: dict[str, int] = {}
        self._tidied = float("-inf")

    def drain(self, is_over: Callable[[], bool] = lambda: False) -> int:
        """Count all records, or stop after the batch in which ``is_over`` becomes true. Return their number.

        Errors of the database are raised; the records that are left wait for the next call.
        """
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

    def run(self, stop: threading.Event) -> None:
        """Drain repeatedly until stopped, then count what the web processes write while they end."""
        pause = _PAUSE
        while not stop.wait(pause):
            pause = _PAUSE if self._try_to_drain(stop.is_set) else _PAUSE_AFTER_FAILURE
        end = time.monotonic() + _FINAL_DRAIN
        while (
            self._try_to_drain(lambda: time.monotonic() >= end)
            and segments(self._folder)
            and time.monotonic() < end
        ):
            time.sleep(_PAUSE / 2)

    def _try_to_drain(self, is_over: Callable[[], bool]) -> bool:
        """Drain, and log a failure instead of raising it."""
        try:
            self.drain(is_over)
            if time.monotonic() >= self._tidied + _TIDY_EVERY:
                forget_old(self._folder)
                self._tidied = time.monotonic()
        except AWAY as error:
            log.warning("the journal waits: the database does not answer: %s", first_line(error))
            return False
        except Exception:
            log.exception("the journal waits")
            return False
        return True

    def _sources(self) -> list[_Source]:
        before, self._counted = self._counted, {}
        found = []
        for segment in segments(self._folder):
            is_finished = segment.is_finished()
            begin = position = before.get(segment.name, counting.DONE)
            if segment.name not in before:
                begin = position = counting.position(reader(), segment.name)
                reader().rollback()
                if position == counting.DONE:
                    segment.delete()  # Its counter died before deleting it.
                    continue
                _wipe(segment, 0, position)
                if not segment.has_more(position):
                    begin = segment.after_wiped(position)
            self._counted[segment.name] = position
            found.append(_Source(segment, position, begin, is_finished))
        return found

    def _settle(self, batch: Sequence[_Waiting]) -> None:
        """Count a batch. If a record makes it fail, find that record by halving, and count the others."""
        try:
            self._count(batch)
        except (_Overtaken, *_NOT_A_RECORD):
            raise
        except Exception as error:
            if len(batch) > 1:
                middle = len(batch) // 2
                self._settle(batch[:middle])
                self._settle(batch[middle:])
                return
            self._set_aside(batch[0], error)
            self._count(batch, is_counted=False)

    def _set_aside(self, record: _Waiting, error: Exception) -> None:
        kept = set_aside(self._folder, record.source.segment.name, record.source.counted, record.payload)
        log.error(
            "a record of a device can't be counted; %s",
            f"it is set aside as {kept}" if kept else "it is lost",
            exc_info=error,
        )

    def _count(self, batch: Sequence[_Waiting], *, is_counted: bool = True) -> None:
        """Count the batch and move the positions past it. ``is_counted`` False: move the positions only."""
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
        """Delete segments that are counted to their end and that no process writes to any more."""
        for source in sources:
            if not source.is_finished or source.end != source.counted:
                continue
            with transaction() as session:
                if not counting.finish(session, source.segment.name, since=source.counted, now=utcnow()):
                    raise _Overtaken
            source.segment.delete()
            del self._counted[source.segment.name]


def _wipe(segment: Segment, since: int, to: int) -> None:
    try:
        segment.wipe(since, to)
    except OSError as error:  # The records are counted all the same.
        log.error("%s: counted records can't be wiped: %s", segment.path, error)


def _in_order(sources: Sequence[_Source]) -> Iterator[_Waiting]:
    """The records of all segments in the order in which they came.

    A device's check can be in one segment, and its events in another.
    """
    now, found = utcnow(), []
    for each in sources:
        if each.segment.has_more(each.begin):
            found.append(each)
        else:
            each.end = each.begin
    if len(found) == len(sources) == 1:
        return _records(found[0], None)
    return heapq.merge(*(_records(each, now) for each in found), key=lambda waiting: waiting.moment)


def _records(source: _Source, now: datetime | None) -> Iterator[_Waiting]:
    """The records of a segment.

    With several segments, ``now`` is the time at which reading began: records that came later wait for the
    next drain. Otherwise an event could be counted before an earlier check that came into a segment already
    read.
    """
    last, end = _OLDEST, source.begin
    for payload, after in source.segment.records(source.begin):
        if now is not None:
            moment = records.moment(payload)
            last = max(last, moment)
            if now < moment[0] <= now + _CLOCK_SET_BACK:  # Further ahead, the clock was set back.
                return
        yield _Waiting(source, payload, after, last)
        end = after
    source.end = end
