"""The path that every device takes, from the bytes of a check to the bytes of its answer. Called with and without Flask."""

from __future__ import annotations

import time
from collections.abc import Collection, Hashable, Iterator
from contextlib import contextmanager
from datetime import datetime

from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session

from ota.catalogs import TOUCHED
from ota.config import Settings
from ota.core.decision import NoUpdate, Offer
from ota.core.locales import best, best_tag
from ota.db import after_commit, snapshot
from ota.parts import add_part, part
from ota.telemetry import records
from ota.updates import answers as update_answers
from ota.updates.answers import Answer
from ota.updates.catalog_cache import CatalogCache
from ota.web import views
from ota.web.journal import reports
from ota.web.limits import CheckLimit
from ota.web.operation import decode, encode
from ota.web.shapes import CheckRequest

Known = tuple[bytes, bytes]
"""An answer's bytes, and what the records of all checks have in common that got it."""

_SHORT = 1024
"""A body of so many bytes is written down as it is."""

_PAUSE = 0.0005
_LONGEST_LOCALE = 35
_REMEMBERED = 4_096
"""So many answers are kept for each stream."""


class HotPath:
    """Answers checks from memory. Any thread may ask; no request is needed around it."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._secret = settings.secret_key
        self._keep = reports(app).keep
        self._is_counted = CheckLimit(settings).counts
        self._catalogs = CatalogCache(self._session)
        after_commit(app, self._note)

    def answer(self, raw: bytes, now: datetime, address: str = "") -> bytes:
        """The JSON answer to a JSON body from that address. Raises an `OtaError` for what can't be answered, a database's error when
        that is away."""
        asked: CheckRequest = decode(raw, CheckRequest)
        stream = update_answers.stream_of(self._catalogs, asked, now=now)
        groups = update_answers.groups_of(stream, asked, self._secret)
        key = update_answers.likeness(stream, asked, groups, now=now)
        known = stream.answers.get((key, asked.locale))
        if known is None:
            known = self._encoded(update_answers.check(stream, asked, groups, now=now), asked.locale)
            if key is not None and (asked.locale is None or len(asked.locale) <= _LONGEST_LOCALE):
                _remember(stream.answers, (key, asked.locale), known)
        body, mark = known
        if not address or self._is_counted(address):
            self._keep(records.check(raw if len(raw) <= _SHORT else _shortened(asked), mark, now))
        return body

    def _encoded(self, found: Answer, locale: str | None) -> Known:
        """The same decision has the same bytes, until the catalog changes."""
        decision, tag, notes, version = found.decision, None, None, None
        key: Hashable = (
            decision.reason,
            found.is_withdrawn,
            decision.is_blocked if isinstance(decision, NoUpdate) else None,
        )
        if isinstance(decision, Offer):
            version = found.stream.versions[decision.candidate.version_id]
            tag = best_tag(version.localized_notes, locale) if locale and version.localized_notes else None
            key = (decision.candidate.release_id, decision.is_mandatory, tag, found.is_withdrawn)
        known = found.stream.answers.get(key)
        if known is None:
            if version is not None:
                notes = best(version.localized_notes or {}, tag) or version.release_notes
            with self._app.app_context():
                body = encode(views.check_answer(decision, version, notes, is_withdrawn=found.is_withdrawn))
            release_id = decision.candidate.release_id if isinstance(decision, Offer) else None
            known = body, records.answer_mark(found.stream.channel_id, release_id, decision.reason)
            _remember(found.stream.answers, key, known)
        return known

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self._app.app_context(), snapshot() as session:
            event.listen(session, "do_orm_execute", _give_way)
            yield session

    def _note(self, keys: Collection[tuple[str, int]]) -> None:
        if any(kind == TOUCHED for kind, _ in keys):
            self._catalogs.expire()


def _give_way(_: ORMExecuteState) -> None:
    """Reading a catalog takes some milliseconds of Python: between its statements the other threads answer those who ask meanwhile."""
    time.sleep(_PAUSE)


def _remember(answers: dict[Hashable, Known], key: Hashable, known: Known) -> None:
    """A fleet asks a few hundred different questions; somebody who makes them up shall not fill the memory."""
    if len(answers) >= _REMEMBERED:
        answers.clear()
    answers[key] = known


def _shortened(asked: CheckRequest) -> bytes:
    """Without fields that we don't know and blanks, and without the one field that has no bound of its own."""
    asked.locale, locale = None, asked.locale
    raw = encode(asked)
    asked.locale = locale
    return raw


def init_app(app: Flask, settings: Settings) -> None:
    add_part(app, HotPath, HotPath(app, settings))


def hot_path(app: Flask | None = None) -> HotPath:
    """That of this web process."""
    return part(HotPath, app)
