"""Speed of draining the journal: ``python -m benchmarks.drain [CHECKS] [DEVICES] [EVENTS]``.

Uses SQLite, or PostgreSQL if OTA_DATABASE_URL names an empty database. Devices check many times. A release is
open to a tenth of them, which install it. Then they report downloads, installations, launches and crashes.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time

from flask import Flask

from benchmarks.fill import fill
from ota.clock import utcnow
from ota.config import Settings
from ota.core.telemetry import EventKind
from ota.telemetry import records
from ota.telemetry.drain import Drainer
from ota.telemetry.records import EventReport
from ota.web.journal import reports
from ota.web.updates.hot_path import hot_path

CHECKS, DEVICES, EVENTS = 1_000_000, 100_000, 200_000
NEWEST = 5
KINDS = (EventKind.DOWNLOAD_COMPLETED, EventKind.INSTALLED, EventKind.LAUNCH_OK, EventKind.CRASH)


def main() -> None:
    checks, devices, events = (
        int(given) for given in (*sys.argv[1:], *(CHECKS, DEVICES, EVENTS)[len(sys.argv) - 1 :])
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=folder,
            secret_key="k" * 64,
            database_url=os.environ.get("OTA_DATABASE_URL", ""),
            admin_password="correct horse battery",
            journal_bytes=2 * 1024**3,
        )
        app, dice = fill(settings), random.Random(1)
        start = time.perf_counter()
        runs = ask(app, checks, devices, dice)
        print(
            f"{checks:,} checks of {devices:,} devices written in {time.perf_counter() - start:.1f} s",
            flush=True,
        )
        drain(app, settings, "checks")
        report_events(app, events, [number for number, build in runs.items() if build == NEWEST], dice)
        reports(app).close()
        drain(app, settings, "events")


def ask(app: Flask, checks: int, devices: int, dice: random.Random) -> dict[int, int]:
    """Send checks. Return the builds of the devices that have updated."""
    path, runs = hot_path(app), dict[int, int]()
    for _ in range(checks):
        number = dice.randrange(devices)
        build = runs.get(number, 4)
        version, device_id = f"1.{build - 1}.0+{build}", f"5f1c9a52-{number}"
        body = f'{{"platform":"android","current_version":"{version}","device_id":"{device_id}","sdk":34}}'
        if b'"version_code":5' in path.answer(body.encode(), utcnow()):
            runs[number] = NEWEST
    return runs


def report_events(app: Flask, events: int, numbers: list[int], dice: random.Random) -> None:
    """Write events of these devices to the journal, as a web process does."""
    for number in range(events):
        kind, now = dice.choice(KINDS), utcnow()
        is_crash = kind is EventKind.CRASH
        event = EventReport(
            app_id=1,
            platform="android",
            device_id=f"5f1c9a52-{dice.choice(numbers)}",
            event_id=f"e{number}",
            kind=kind,
            version_id=NEWEST,
            at=now,
            received_at=now,
            signature=f"Exception in Main.step{number % 100}" if is_crash else None,
            text="at x\n" * 80 if is_crash else None,
        )
        assert reports(app).keep(records.event(event))


def drain(app: Flask, settings: Settings, what: str) -> None:
    """Drain the journal and print the speed."""
    start = time.perf_counter()
    counted = Drainer(app).drain()
    took = time.perf_counter() - start
    kind = settings.sqlalchemy_url.partition(":")[0]
    print(f"{counted:,} {what} counted on {kind} in {took:.1f} s: {counted / took:,.0f} a second", flush=True)


if __name__ == "__main__":
    main()
