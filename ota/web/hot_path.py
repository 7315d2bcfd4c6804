"""The path that every device takes, from the bytes of a check to the bytes of its answer. Called with and without Flask."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import cast

from flask import Flask, current_app
from sqlalchemy.orm import Session

from ota.config import Settings
from ota.core.decision import Offer
from ota.core.locales import best, best_tag
from ota.db import after_commit, snapshot
from ota.services import updates
from ota.services.catalog_cache import CatalogCache
from ota.services.catalogs import TOUCHED
from ota.services.updates import Answer
from ota.web import present
from ota.web.api import decode, encode
from ota.web.schemas import CheckRequest
from ota.web.sightings import sightings

_SHORT = 1024
"""A body of so many bytes is kept as it is until it is counted."""


class HotPath:
    """Answers checks from memory. Any thread may ask; no request is needed around it."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._secret = settings.secret_key
        self._sightings = sightings(app)
        self._catalogs = CatalogCache(self._session)
        after_commit(app, self._note)

    def answer(self, raw: bytes, now: datetime) -> bytes:
        """The JSON answer to a JSON body. Raises an `OtaError` for what can't be answered, a database's error when that is away."""
        asked: CheckRequest = decode(raw, CheckRequest)
        found = updates.check(self._catalogs, asked, self._secret, now=now)
        if found.query.device_id is not None:
            self._sightings.add((found.stream.channel_id, raw if len(raw) <= _SHORT else _shortened(asked), now))
        return self._encoded(found, asked.locale)

    def _encoded(self, found: Answer, locale: str | None) -> bytes:
        """The same decision has the same bytes, until the catalog changes."""
        decision, kept, tag, key = found.decision, found.stream.answers, None, cast(Hashable, None)
        version = found.stream.versions[decision.candidate.version_id] if isinstance(decision, Offer) else None
        if isinstance(decision, Offer) and version is not None:
            tag = best_tag(version.localized_notes, locale) if locale and version.localized_notes else None
            key = (decision.candidate.version_id, decision.is_mandatory, tag, found.is_withdrawn)
        elif not isinstance(decision, Offer):
            key = (decision.reason, decision.is_blocked, found.is_withdrawn)
        body = kept.get(key)
        if body is None:
            notes = None if version is None else best(version.localized_notes or {}, tag) or version.release_notes
            with self._app.app_context():
                body = kept[key] = encode(present.check_answer(decision, version, notes, is_withdrawn=found.is_withdrawn))
        return body

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self._app.app_context(), snapshot() as session:
            yield session

    def _note(self, keys: Collection[tuple[str, int]]) -> None:
        if any(kind == TOUCHED for kind, _ in keys):
            self._catalogs.expire()


def _shortened(asked: CheckRequest) -> bytes:
    """Without fields that we don't know and blanks, and without the one field that has no bound of its own."""
    asked.locale, locale = None, asked.locale
    raw = encode(asked)
    asked.locale = locale
    return raw


def init_app(app: Flask, settings: Settings) -> None:
    app.extensions["ota_hot_path"] = HotPath(app, settings)


def hot_path(app: Flask | None = None) -> HotPath:
    """That of this web process."""
    return cast(HotPath, (app or current_app).extensions["ota_hot_path"])
