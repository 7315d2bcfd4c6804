"""The cost of a long history for a decision: ``python -m benchmarks.decide``.

Compares a channel with a history of 10 versions with one of 10,000: once with all releases live, each
superseded by the next, and once with all but the newest two ended. Catalogs are read from a real database, as
the server reads them.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from datetime import timedelta

from sqlalchemy import insert
from sqlalchemy.orm import Session

from app import create_app
from ota import bootstrap, catalogs
from ota.apps import apps
from ota.clock import utcnow
from ota.config import Settings
from ota.core.catalog import Catalog
from ota.core.decision import UpdateQuery, decide
from ota.core.lifecycle import ReleaseState
from ota.core.platforms import Platform
from ota.core.versions import parse_current_version
from ota.db import transaction
from ota.history.audit import SYSTEM
from ota.models import Channel, Release, Version

FEW, MANY = 10, 10_000
RUNS, CALLS = 15, 5_000


def history(session: Session, slug: str, count: int, old: ReleaseState) -> Channel:
    """Create an app with ``count`` versions. The newest is open to a tenth of devices, the next to all."""
    now = utcnow()
    app = apps.create(session, SYSTEM, slug=slug, name=slug, now=now)
    channel = app.channels[0]
    about = {
        "app_id": app.id,
        "platform": Platform.ANDROID,
        "download_url": "https://files.example.com/a.apk",
        "checksum": "ab" * 32,
    }
    rows = [
        {
            **about,
            "version": f"1.{code}.0",
            "version_code": code,
            "is_mandatory": False,
            "is_active": True,
            "created_at": now,
            "revision": 1,
        }
        for code in range(1, count + 1)
    ]
    session.execute(insert(Version), rows)
    ids = [
        row.id for row in session.query(Version.id).filter_by(app_id=app.id).order_by(Version.version_code)
    ]
    offered = {
        "channel_id": channel.id,
        "platform": Platform.ANDROID,
        "created_at": now,
        "created_by": "x",
        "revision": 1,
    }
    offered["starts_at"] = now - timedelta(days=1)
    releases = [
        {
            **offered,
            "version_id": version_id,
            "salt": f"{version_id:032x}",
            "rollout": 1_000 if place == count - 1 else 10_000,
            "state": ReleaseState.ACTIVE if place >= count - 2 else old,
            "ended_at": None,
        }
        for place, version_id in enumerate(ids)
    ]
    session.execute(insert(Release), releases)
    return channel


def questions(count: int) -> list[UpdateQuery]:
    """Return devices on old and new versions, in and outside the tenth, with and without a build number."""
    runs = [f"1.{code}.0{build}" for code in (1, count // 2, count - 1, count) for build in (f"+{code}", "")]
    return [
        UpdateQuery(parse_current_version(text), f"device-{number}") for number in range(8) for text in runs
    ]


def cost(catalog: Catalog, asked: list[UpdateQuery]) -> float:
    """Return the time of one decision, in microseconds."""
    now, start = utcnow(), time.perf_counter()
    for number in range(CALLS):
        decide(asked[number % len(asked)], catalog, now)
    return (time.perf_counter() - start) / CALLS * 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=folder, secret_key="k" * 64)
        app = create_app(settings)
        bootstrap.prepare(app, settings)
        for name, old in (
            ("superseded, still standing", ReleaseState.ACTIVE),
            ("ended", ReleaseState.ROLLED_BACK),
        ):
            with app.app_context(), transaction() as session:
                channels = [
                    (count, history(session, f"{old.replace('_', '-')}-{count}", count, old).id)
                    for count in (FEW, MANY)
                ]
                compiled = {
                    count: catalogs.load(session, channel_id, Platform.ANDROID, at=utcnow())
                    for count, channel_id in channels
                }
                start = time.perf_counter()
                catalogs.load(session, channels[1][1], Platform.ANDROID, at=utcnow())
                took = (time.perf_counter() - start) * 1e3
            costs: dict[int, list[float]] = {FEW: [], MANY: []}
            for _ in range(RUNS):
                for count, catalog in compiled.items():
                    costs[count].append(cost(catalog, questions(count)))
            few, many = (statistics.median(costs[count]) for count in (FEW, MANY))
            versions = f"{FEW} versions {few:.2f} us, {MANY:,} versions {many:.2f} us"
            print(f"{name}: {versions}, ratio {many / few:.2f} (goal: below 1.2)")
            kept = len(compiled[MANY].candidates)
            print(f"  the catalog of {MANY:,} keeps {kept} candidates and is compiled in {took:.0f} ms")


if __name__ == "__main__":
    main()
