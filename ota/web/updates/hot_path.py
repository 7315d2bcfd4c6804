"""The hot path: from the bytes of a check to the bytes of its answer, with or without Flask.

Which answer a device gets is decided in `ota.updates.answers.check`. This module remembers the bytes of each
answer, and writes each check to the journal.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Hashable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session

from ota.catalogs import TOUCHED
from ota.config import Settings
from ota.core.decision import Offer
from ota.core.locales import best, best_tag
from ota.db import after_commit, snapshot
from ota.models import Version
from ota.parts import add_part, part
from ota.telemetry import records
from ota.updates import answers as update_answers
from ota.updates.answers import Answer
from ota.updates.catalog_cache import CatalogCache, EncodedAnswer
from ota.web import views
from ota.web.journal import reports
from ota.web.limits import CheckLimit
from ota.web.operation import decode, encode
from ota.web.shapes import CheckRequest

K = TypeVar("K", bound=Hashable)

_SHORT = 1024
"""Bodies of at most this many bytes are written to the journal as they are."""

_PAUSE = 0.0005
_LONGEST_LOCALE = 35
_MAX_REMEMBERED = 4_096
"""Answers kept in each of a stream's two dictionaries."""


class HotPath:
    """Answers checks from memory. Any thread can call it, without a request."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._secret = settings.secret_key
        self._keep = reports(app).keep
        self._is_counted = CheckLimit(settings).counts
        self._catalogs = CatalogCache(self._session)
        after_commit(app, self._note)

    def answer(self, raw: bytes, now: datetime, address: str = "") -> bytes:
        """Return the JSON answer to a JSON body from this address.

        Raises an `OtaError` for a check that can't be answered, and the database's error while it is away.
        """
        asked: CheckRequest = decode(raw, CheckRequest)
        stream = update_answers.stream_of(self._catalogs, asked, now=now)
        groups = update_answers.groups_of(stream, asked, self._secret)
        key = update_answers.question_key(stream, asked, groups, now=now)
        known = stream.by_question.get((key, asked.locale)) if key is not None else None
        if known is None:
            known = self._encoded(update_answers.check(stream, asked, groups, now=now), asked.locale)
            if key is not None and (asked.locale is None or len(asked.locale) <= _LONGEST_LOCALE):
                _remember(stream.by_question, (key, asked.locale), known)
        body, mark = known
        if not address or self._is_counted(address):
            self._keep(records.check(raw if len(raw) <= _SHORT else _shortened(asked), mark, now))
        return body

    def _encoded(self, found: Answer, locale: str | None) -> EncodedAnswer:
        """The bytes of an answer. Equal decisions have the same bytes until the catalog changes."""
        version, tag = _offered(found, locale)
        key = _decision_key(found, tag)
        known = found.stream.by_decision.get(key)
        if known is None:
            known = self._encode(found, version, tag)
            _remember(found.stream.by_decision, key, known)
        return known

    def _encode(self, found: Answer, version: Version | None, tag: str | None) -> EncodedAnswer:
        decision, notes, release_id = found.decision, None, None
        if version is not None:
            notes = best(version.localized_notes or {}, tag) or version.release_notes
        if isinstance(decision, Offer):
            release_id = decision.candidate.release_id
        with self._app.app_context():
            body = encode(views.check_answer(decision, version, notes, is_withdrawn=found.is_withdrawn))
        return body, records.answer_mark(found.stream.channel_id, release_id, decision.reason)

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self._app.app_context(), snapshot() as session:
            event.listen(session, "do_orm_execute", _give_way)
            yield session

    def _note(self, keys: Collection[tuple[str, int]]) -> None:
        if any(kind == TOUCHED for kind, _ in keys):
            self._catalogs.expire()


def _offered(found: Answer, locale: str | None) -> tuple[Version | None, str | None]:
    """The offered version, and the language of its notes."""
    if not isinstance(found.decision, Offer):
        return None, None
    version = found.stream.versions[found.decision.candidate.version_id]
    tag = best_tag(version.localized_notes, locale) if locale and version.localized_notes else None
    return version, tag


def _decision_key(found: Answer, tag: str | None) -> Hashable:
    """Equal for answers with the same bytes."""
    decision = found.decision
    if isinstance(decision, Offer):
        return decision.candidate.release_id, decision.is_mandatory, tag, found.is_withdrawn
    return decision.reason, found.is_withdrawn, decision.is_blocked


def _give_way(_: ORMExecuteState) -> None:
    """Let other threads answer between the statements that read a catalog, which takes some milliseconds."""
    time.sleep(_PAUSE)


def _remember(answers: dict[K, EncodedAnswer], key: K, known: EncodedAnswer) -> None:
    """Keep an answer.

    A fleet asks a few hundred different questions; made-up ones must not fill the memory.
    """
    if len(answers) >= _MAX_REMEMBERED:
        answers.clear()
    answers[key] = known


def _shortened(asked: CheckRequest) -> bytes:
    """The body without unknown fields, blanks, and the locale, whose length has no bound."""
    asked.locale, locale = None, asked.locale
    raw = encode(asked)
    asked.locale = locale
    return raw


def init_app(app: Flask, settings: Settings) -> None:
    add_part(app, HotPath, HotPath(app, settings))


def hot_path(app: Flask | None = None) -> HotPath:
    """Return the hot path of this web process."""
    return part(HotPath, app)
