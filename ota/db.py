"""The database: engine set-up, transactions, and compare-and-set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from flask import Flask, current_app
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, CursorResult, Engine, event, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.orm.util import identity_key

from ota.config import ROOT, Settings
from ota.models.base import Base

log = logging.getLogger(__name__)

db = SQLAlchemy(metadata=Base.metadata)
migrate = Migrate(directory=str(ROOT / "migrations"))

MAX_ID = 2**31 - 1
"""Largest primary key. PostgreSQL raises an error for a larger one, so callers check first."""

AWAY = (OperationalError, InterfaceError, PoolTimeout)
"""Errors raised when the database does not answer."""

BUSY_TIMEOUT_MS = 15_000
_WRITE = "ota_write"
_LAST_ACTS = "ota_last_acts"
_LISTENERS = "ota_commit_listeners"
# A server that is away or overloaded causes an error within seconds instead of a request that hangs.
_POSTGRESQL = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "options": "-c statement_timeout=20000 -c lock_timeout=15000",
}


def init_app(app: Flask, settings: Settings) -> None:
    """Bind the database of the settings to the application."""
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.sqlalchemy_url
    is_sqlite = settings.sqlalchemy_url.startswith("sqlite")
    # Each web thread can hold a connection during a query; none is held while a download runs.
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        # SQLite connections are cheap to keep and expensive to open; those beyond the pool are not kept.
        "pool_size": settings.web_threads if is_sqlite else 8,
        "max_overflow": 8 if is_sqlite else 32,
        "pool_timeout": 10,
        "pool_pre_ping": not is_sqlite,
        "connect_args": {} if is_sqlite else _POSTGRESQL,
    }
    db.init_app(app)
    # Registered before Flask-SQLAlchemy's own teardown, which would raise if the connection was lost.
    app.teardown_appcontext(_remove_session)
    migrate.init_app(app, db, render_as_batch=True, compare_type=True)
    if is_sqlite:
        with app.app_context():
            _set_up_sqlite(db.engine)


@contextmanager
def transaction() -> Iterator[Session]:
    """Open the only kind of transaction that writes. Commits at the end of the block; an error rolls back.

    Rows that were read before are read again inside, so that no decision rests on a stale row. On SQLite the
    write lock is taken at the start (``BEGIN IMMEDIATE``). Blocks do not nest: a nested one raises
    ``RuntimeError``.
    """
    session = db.session()
    if session.info.get(_WRITE):
        raise RuntimeError("transaction() inside transaction(): the outer one already commits")
    session.rollback()
    session.info[_WRITE] = True
    session.info[_LAST_ACTS] = {}
    try:
        session.connection(execution_options={_WRITE: True})
        yield session
        for key in sorted(session.info[_LAST_ACTS]):
            session.info[_LAST_ACTS][key]()
        session.commit()
        for listener in current_app.extensions.get(_LISTENERS, ()):
            listener(session.info[_LAST_ACTS])
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info[_WRITE] = False


def before_commit(session: Session, key: tuple[str, int], act: Callable[[], None]) -> None:
    """Run ``act`` at the end of the transaction: once for each key, in the order of the keys."""
    session.info[_LAST_ACTS][key] = act


def after_commit(app: Flask, listener: Callable[[Collection[tuple[str, int]]], None]) -> None:
    """Call the listener after each transaction of this process with the keys given to `before_commit`."""
    app.extensions.setdefault(_LISTENERS, []).append(listener)


@contextmanager
def snapshot() -> Iterator[Session]:
    """Open a separate session for reading that sees one state of the database, despite commits meanwhile."""
    with Session(db.engine) as session:
        # On SQLite every transaction reads one state.
        session.connection(
            execution_options={}
            if db.engine.dialect.name == "sqlite"
            else {"isolation_level": "REPEATABLE READ"}
        )
        yield session


def reader() -> Session:
    """Return the session of this request or task, for reading."""
    return db.session()


def _remove_session(_: BaseException | None) -> None:
    """Close the session. If the database went away after all work was done, the answer is still sent."""
    try:
        db.session.remove()
    except DBAPIError as error:
        log.warning("a connection was lost while its session was closed: %s", first_line(error))
        db.session.registry.clear()


def compare_and_set(
    session: Session,
    model: type[Base],
    key: Mapping[str, Any],
    expected: Mapping[str, Any],
    values: Mapping[str, Any],
) -> bool:
    """Write ``values`` to the row with this primary key if it still has the expected values.

    Returns whether the row was written.

    An expected value can be a set or frozenset, which matches any of its members. If the session holds the
    row, it is read again at the next access; other objects of the session stay as they were read.
    """
    session.flush()
    statement = update(model).values(**values)
    for name, value in {**key, **expected}.items():
        column = getattr(model, name)
        statement = statement.where(
            column.in_(value) if isinstance(value, set | frozenset) else column == value
        )
    result = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    held = session.identity_map.get(identity_key(model, tuple(key.values())))
    if held is not None:
        session.expire(held)
    return result.rowcount == 1


def first_line(error: Exception) -> str:
    """Return one line for the log: the database's message, without the statement and its values."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]


def _set_up_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        # The driver must not begin transactions itself: `begin` below chooses the kind.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        is_writer = connection.get_execution_options().get(_WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")
