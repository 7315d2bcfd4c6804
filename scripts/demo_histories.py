"""The latest checks of the demo's devices. Their answers are the server's own decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ota import catalogs
from ota.core.catalog import Catalog
from ota.core.decision import NoUpdate, Offer, UpdateQuery, decide
from ota.core.lifecycle import ReleaseState
from ota.core.versions import parse_current_version
from ota.models import App, UpdateCheck, UpdateCompletion, Version
from scripts.demo_rows import Fleet, of, running, store
from scripts.demo_tried import Trial

MOST, CHECKS = 1_500, 4


def add_checks(
    session: Session,
    app: App,
    fleet: Fleet,
    before: dict[int, Version],
    runs: dict[int, Version],
    trials: Sequence[Trial],
) -> None:
    """Add checks of the first `MOST` devices, and their updates to the tried releases.

    ``before`` has the versions until then, ``runs`` the versions now.
    """
    channel = next(channel for channel in app.channels if channel.is_default)
    present = catalogs.load(session, channel.id, fleet.platform)
    past = _as_it_was(present, trials)
    checks, moves = [], []
    for number in range(min(fleet.devices, MOST)):
        trial = next((trial for trial in trials if number in trial.journeys), None)
        journey = trial.journeys[number] if trial is not None else {}
        installed_at = journey.get("installed_at")
        for at in _times(fleet, number, journey):
            version = runs[number] if installed_at is None or at >= installed_at else before[number]
            is_past = any(trial.halted_at is not None and at < trial.halted_at for trial in trials)
            query = UpdateQuery(parse_current_version(running(version)), fleet.id_of(number))
            found = decide(query, past if is_past else present, at)
            checks.append(_check(app.id, channel.id, fleet, number, running(version), found, at))
        if installed_at is not None:
            moves.append(_move(app.id, fleet, number, before[number], runs[number], installed_at))
    store(session, UpdateCheck, checks)
    store(session, UpdateCompletion, moves)


def _move(
    app_id: int, fleet: Fleet, number: int, before: Version, after: Version, at: datetime
) -> dict[str, Any]:
    return of(
        app_id,
        fleet,
        device_id=fleet.hash_of(number),
        completed_at=at,
        from_version=running(before),
        to_version=running(after),
        is_inferred=number % 3 == 0,
    )


def _as_it_was(present: Catalog, trials: Sequence[Trial]) -> Catalog:
    """Return the catalog before a release was halted."""
    halted = {trial.release.id for trial in trials if trial.halted_at is not None}
    for candidate in present.candidates:
        if candidate.release_id in halted:
            present = present.with_release(replace(candidate, state=ReleaseState.ACTIVE))
    return present


def _times(fleet: Fleet, number: int, journey: dict[str, Any]) -> list[datetime]:
    """Return the times of the device's checks: the latest ones, at the offer, and before it."""
    at, times = fleet.seen[number], []
    for _ in range(CHECKS):
        times.append(at)
        at -= timedelta(minutes=fleet.dice.randrange(200, 900))
    offered = journey.get("offered_at")
    if offered is not None:
        times = [at for at in times if not offered < at < (journey["installed_at"] or offered)]
        times += [offered, offered - timedelta(hours=7), offered - timedelta(hours=15)]
    return times


def _check(
    app_id: int,
    channel_id: int,
    fleet: Fleet,
    number: int,
    current: str,
    found: Offer | NoUpdate,
    at: datetime,
) -> dict[str, Any]:
    offer = found.candidate if isinstance(found, Offer) else None
    return of(
        app_id,
        fleet,
        channel_id=channel_id,
        device_id=fleet.hash_of(number),
        current_version=current,
        reason=found.reason,
        created_at=at,
        offered_version=offer and offer.version,
        release_id=offer and offer.release_id,
    )
