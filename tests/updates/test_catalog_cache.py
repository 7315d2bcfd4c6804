"""The guarantee of the catalogs in memory: never older than a second. The test moves the clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from ota.apps import apps
from ota.builds import versions
from ota.core.lifecycle import ReleaseState
from ota.core.platforms import Platform
from ota.db import db, snapshot, transaction
from ota.errors import NotFound
from ota.history.audit import SYSTEM
from ota.models import App, Release, Version
from ota.releases import acts as release_acts
from ota.updates import catalog_cache
from ota.updates.catalog_cache import REFRESH_AFTER, STALE_AFTER, CatalogCache
from tests.releases.given import START, begin, channel, make

ANDROID = Platform.ANDROID


class World:
    """A cache with its own clock, and a database that can be away or slow."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.now = 1_000.0
        self.is_away = False
        self.may_open = threading.Event()
        self.may_open.set()
        self.opened = 0
        self.cache = CatalogCache(self.open, clock=lambda: self.now)

    @contextmanager
    def open(self) -> Iterator[Session]:
        self.opened += 1
        assert self.may_open.wait(30)
        if self.is_away:
            raise OperationalError("", {}, Exception("the database is away"))
        with self.app.app_context(), snapshot() as session:
            yield session

    def codes(self, slug: str | None = None, name: str | None = None) -> list[int]:
        """The version codes that are offered."""
        return [
            each.version_code for each in self.cache.stream(slug, name, ANDROID, now=START).catalog.candidates
        ]


@pytest.fixture
def world(app: Flask) -> Iterator[World]:
    with app.app_context():
        yield World(app)


def test_a_change_is_seen_when_the_next_refresh_is_due(world: World) -> None:
    begin(make(1))
    assert world.codes() == [1]
    begin(make(2))
    world.now += REFRESH_AFTER - 0.01
    assert world.codes() == [1]
    world.now += 0.02
    assert world.codes() == [2]


def test_a_current_cache_reads_nothing_from_the_database(world: World, app: Flask) -> None:
    begin(make(1))
    world.codes()
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *about: statements.append(about[2]))
    opened = world.opened
    for _ in range(20):
        world.codes()
    assert (world.opened, statements) == (opened, [])


def test_only_the_apps_that_changed_are_compiled_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction() as session:
        apps.create(session, SYSTEM, slug="other", name="Other", now=START)
    begin(make(1))
    assert (world.codes(), world.codes("other"), world.codes("my-app", "stable")) == ([1], [], [1])
    compiled: list[tuple[str, str | None]] = []
    real = catalog_cache.compiled

    def noted(session: Session, slug: str, name: str | None, platform: Platform, **more: object) -> object:
        compiled.append((slug, name))
        return real(session, slug, name, platform, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(catalog_cache, "compiled", noted)
    world.now += REFRESH_AFTER + 0.1
    world.codes()
    assert compiled == []
    begin(make(2))
    world.now += REFRESH_AFTER + 0.1
    assert (world.codes(), world.codes("other"), world.codes("my-app", "stable")) == ([2], [], [2])
    assert sorted(compiled, key=str) == [("my-app", "stable"), ("my-app", None)]


def test_a_change_by_this_process_is_seen_at_once(world: World) -> None:
    begin(make(1))
    world.codes()
    begin(make(2))
    world.cache.expire()
    assert world.codes() == [2]


def test_a_database_that_is_away_for_less_than_a_second_does_not_matter(world: World) -> None:
    begin(make(1))
    world.codes()
    world.is_away = True
    world.now += STALE_AFTER - 0.01
    assert world.codes() == [1]
    world.now += 0.02
    with pytest.raises(OperationalError):
        world.codes()
    world.is_away = False
    begin(make(2))
    assert world.codes() == [2]


def test_after_a_known_change_old_answers_are_not_used_while_the_database_is_away(world: World) -> None:
    begin(make(1))
    world.codes()
    world.is_away = True
    world.cache.expire()
    with pytest.raises(OperationalError):
        world.codes()


def test_while_one_thread_refreshes_the_others_answer_for_a_second(world: World) -> None:
    begin(make(1))
    world.codes()
    begin(make(2))
    world.may_open.clear()
    with ThreadPoolExecutor(8) as pool:
        world.now += REFRESH_AFTER + 0.1
        refreshing = pool.submit(world.codes)
        while world.opened < 3:
            pass
        assert [pool.submit(world.codes).result(30) for _ in range(5)] == [[1]] * 5
        world.now += STALE_AFTER
        late = [pool.submit(world.codes) for _ in range(5)]
        assert not any(each.done() for each in late)
        world.may_open.set()
        assert [each.result(30) for each in (refreshing, *late)] == [[2]] * 6


def test_a_refresh_that_began_before_a_change_does_not_hide_it(world: World) -> None:
    begin(make(1))
    world.codes()
    world.now += STALE_AFTER + 1

    @contextmanager
    def slow() -> Iterator[Session]:
        with world.open() as session:
            yield session
        # Committed in this process after the refresh has read everything and before it is done.
        world.cache._open = world.open
        world.now += 0.001
        begin(make(2))
        world.cache.expire()

    world.cache._open = slow
    assert world.codes() == [2]


def test_an_unknown_app_or_channel_is_not_found_until_it_is_created(world: World) -> None:
    with pytest.raises(NotFound) as caught:
        world.codes("other")
    assert caught.value.code == "unknown_app"
    with pytest.raises(NotFound) as caught:
        world.codes(None, "beta")
    assert caught.value.code == "unknown_channel"
    with transaction() as session:
        apps.create(session, SYSTEM, slug="other", name="Other", now=START)
    channel("beta", falls_back_to="stable")
    begin(make(1))
    assert (world.codes("other"), world.codes(None, "beta")) == ([], [1])


def revision(slug: str) -> int:
    with snapshot() as session:
        return session.query(App).filter_by(slug=slug).one().catalog_revision


def test_a_new_default_app_answers_devices_that_name_none(world: World) -> None:
    begin(make(1))
    assert world.codes() == [1]
    with transaction() as session:
        other = apps.create(session, SYSTEM, slug="other", name="Other", now=START)
    before = revision("my-app"), revision("other")
    with transaction() as session:
        apps.make_default(session, SYSTEM, apps.find(session, "other"), now=START)
    assert (revision("my-app"), revision("other")) == (before[0] + 1, before[1] + 1)
    assert other.id
    world.now += REFRESH_AFTER + 0.1
    assert world.codes() == []
    assert world.codes("my-app") == [1]


def test_every_act_on_a_release_raises_the_revision(world: World) -> None:
    version_id = make(1)
    release_id = begin(version_id, rollout=1_000)
    seen = [revision("my-app")]
    for state in (ReleaseState.PAUSED, ReleaseState.ACTIVE, ReleaseState.ROLLED_BACK):
        with transaction() as session:
            release_acts.change_state(session, SYSTEM, session.get_one(Release, release_id), state, now=START)
        seen.append(revision("my-app"))
    with transaction() as session:
        versions.delete(session, SYSTEM, session.get_one(Version, make_id(session)), now=START)
    seen.append(revision("my-app"))
    assert seen == sorted(set(seen))


def make_id(session: Session) -> int:
    draft = versions.VersionDraft(
        platform=ANDROID, version="9", version_code=9, download_url="https://files.example.com/9.apk"
    )
    return versions.add(session, SYSTEM, apps.find(session, None), draft, artifact=None, now=START).id
