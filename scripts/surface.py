"""Print as JSON all that other programs rely on.

This is: URLs, OpenAPI, tables, settings, tasks, commands, reasons, and the contract table. A change that
moves code but no behavior leaves the output unchanged, byte for byte:

    python -m scripts.surface > after.json && diff before.json after.json

Descriptions are left out of the OpenAPI document, because they are prose.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import create_mock_engine

from app import create_app
from ota.config import Settings, variable_names
from ota.core.decision import Reason
from ota.models import Base
from tests.contract.cases import CASES

_PROSE = {"description", "summary"}


def surface(app: Flask) -> dict[str, Any]:
    """Return all that must not change by accident, in a stable order."""
    celery = app.extensions["celery"]
    return {
        "urls": sorted([rule.rule, *sorted(rule.methods or ())] for rule in app.url_map.iter_rules()),
        "openapi": _without_prose(app.test_client().get("/openapi.json").json),
        "tables": {dialect: _tables(dialect) for dialect in ("sqlite", "postgresql")},
        "settings": {name: repr(default) for name, default in sorted(variable_names().items())},
        "tasks": sorted(name for name in celery.tasks if name.startswith("ota.")),
        "schedule": {
            name: [entry["task"], entry["schedule"]]
            for name, entry in sorted(celery.conf.beat_schedule.items())
        },
        "commands": sorted(app.cli.commands),
        "reasons": sorted(reason.value for reason in Reason),
        "contract": [repr(case) for case in CASES],
    }


def _without_prose(document: Any) -> Any:
    if isinstance(document, dict):
        # A property can be called "description" too. Its value is a schema and no text.
        kept = {
            name: value for name, value in document.items() if not (name in _PROSE and isinstance(value, str))
        }
        return {name: _without_prose(value) for name, value in kept.items()}
    if isinstance(document, list):
        return [_without_prose(value) for value in document]
    return document


def _tables(dialect: str) -> list[str]:
    statements: list[str] = []
    engine = create_mock_engine(
        f"{dialect}+psycopg://" if dialect == "postgresql" else f"{dialect}://",
        lambda statement, *_, **__: statements.append(str(statement.compile(dialect=engine.dialect)).strip()),
    )
    Base.metadata.create_all(engine, checkfirst=False)
    return sorted(statements)


def main() -> int:
    """Print the surface of this checkout."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(
            Settings(data_dir=str(Path(folder)), secret_key="k" * 64, base_url="https://updates.example.com")
        )
        json.dump(surface(app), sys.stdout, indent=1, sort_keys=True)
    print()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
