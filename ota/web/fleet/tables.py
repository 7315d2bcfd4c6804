"""The charts of the fleet page as CSV tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence

from ota.errors import Invalid
from ota.fleet.figures import FleetFigures


def csv_text(found: FleetFigures, chart: str) -> str:
    """Return the table of a chart: times in UTC, no rows for zeros. Raises `Invalid` for an unknown chart."""
    if chart not in _TABLES:
        raise Invalid.about(
            "chart",
            "unknown_chart",
            f"there is no chart {chart[:40]!r}. Expected one of: {', '.join(_TABLES)}.",
        )
    text = io.StringIO()
    writer = csv.writer(text)
    heads, rows = _TABLES[chart]
    writer.writerow(heads)
    writer.writerows([_plain(cell) if isinstance(cell, str) else cell for cell in row] for row in rows(found))
    return text.getvalue()


def _plain(text: str) -> str:
    """Return a text that a spreadsheet does not take for a formula. The cells contain what devices send."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _failures(found: FleetFigures) -> list[tuple[object, ...]]:
    return [
        (
            each.version,
            each.version_code,
            each.kind,
            each.signature,
            each.devices,
            each.events,
            f"{each.last_at:%Y-%m-%dT%H:%MZ}",
        )
        for each in found.failures
    ]


_TABLES: Mapping[str, tuple[Sequence[str], Callable[[FleetFigures], Iterable[Sequence[object]]]]] = {
    "adoption": (
        ("day", "version", "devices"),
        lambda found: [(at.date(), name, n) for at, name, n in found.adoption.rows()],
    ),
    "running": (("version", "devices"), lambda found: found.running),
    "checks": (
        ("from", "reason", "checks"),
        lambda found: [(f"{at:%Y-%m-%dT%H:%MZ}", name, n) for at, name, n in found.checks.rows()],
    ),
    "failures": (("version", "version_code", "kind", "signature", "devices", "events", "last_at"), _failures),
}
"""The column names and the rows of each chart."""
