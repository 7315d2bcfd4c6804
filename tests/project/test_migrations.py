"""The migrations result in the models."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, select

from ota.clock import utcnow
from ota.db import db, reader, transaction
from ota.models import AuditEvent


def test_the_migrations_make_exactly_the_models(app: Flask) -> None:
    with app.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, db.metadata) == []


def test_check_constraints_are_in_the_database_too(app: Flask) -> None:
    with app.app_context():
        found = inspect(db.engine)
        for table in db.metadata.sorted_tables:
            wanted = {str(c.name) for c in table.constraints if type(c).__name__ == "CheckConstraint"}
            assert wanted <= {str(c["name"]) for c in found.get_check_constraints(table.name)}, table.name


def test_migrations_can_be_undone_and_done_again(app: Flask) -> None:
    with app.app_context():
        downgrade(revision="base")
        assert set(inspect(db.engine).get_table_names()) <= {"alembic_version", "sqlite_sequence"}
        upgrade()
        assert "app_versions" in inspect(db.engine).get_table_names()
        if db.engine.dialect.name == "sqlite":
            with db.engine.connect() as connection:
                assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_migration_removes_addresses_with_keys_from_the_history(app: Flask) -> None:
    with app.app_context():
        downgrade(revision="0007")
        with transaction() as session:
            for kind, before, after in (
                (
                    "webhook",
                    {"url": "https://slack.com/T1/SECRET"},
                    {"url": "https://slack.com:8443/T2/SECRET?k=1", "events": ["test"]},
                ),
                ("recipient", None, {"email": "anna@example.com", "events": ["test"]}),
                ("webhook", None, {"events": ["test"]}),
            ):
                session.add(
                    AuditEvent(
                        at=utcnow(),
                        actor="a",
                        action=f"{kind}.edited",
                        subject_type=kind,
                        subject_id="77",
                        before=before,
                        after=after,
                    )
                )
        upgrade()
        found = (
            reader()
            .scalars(select(AuditEvent).where(AuditEvent.subject_id == "77").order_by(AuditEvent.id))
            .all()
        )
        assert [(each.before, each.after) for each in found] == [
            ({"url": "https://slack.com"}, {"url": "https://slack.com:8443", "events": ["test"]}),
            (None, {"domain": "example.com", "events": ["test"]}),
            (None, {"events": ["test"]}),
        ]
