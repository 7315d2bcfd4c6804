"""Runs the migrations inside the Flask application, on its engine."""

from __future__ import annotations

from typing import Any

from alembic import context
from flask import current_app

database = current_app.extensions["migrate"].db


def render_item(kind: str, item: Any, autogen_context: Any) -> str | bool:
    """Write plain types into migrations instead of the application's own, which can change."""
    return "sa.DateTime()" if kind == "type" and type(item).__name__ == "UtcDateTime" else False


def run() -> None:
    """Run all migrations or none. SQLite rebuilds tables in batches, which needs foreign keys off."""
    # The option makes SQLite take its write lock at the start, see ota/db.py.
    with database.engine.connect().execution_options(ota_write=True) as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite:
            connection.connection.dbapi_connection.execute("PRAGMA foreign_keys = OFF")
        else:
            connection.exec_driver_sql("SET statement_timeout = 0")
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            render_as_batch=True,
            compare_type=True,
            transactional_ddl=True,
            render_item=render_item,
        )
        try:
            with context.begin_transaction():
                context.run_migrations()
                if is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
                    raise RuntimeError("a migration broke a foreign key; it is undone")
            connection.commit()
        finally:
            connection.rollback()
            if is_sqlite:
                connection.connection.dbapi_connection.execute("PRAGMA foreign_keys = ON")
            else:
                connection.invalidate()  # It has no time limit, so it must not return to the pool.


if context.is_offline_mode():
    raise SystemExit("Migrations need the database; there is no offline mode.")
run()
