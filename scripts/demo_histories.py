"""The last checks of devices of the made-up fleet. What they are answered the server's own decision says."""

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


def tell(
    session: Session,
    app: App,
    fleet: Fleet,
    before: dict[int, Version],
    runs: dict[int, Version],
    trials: Sequence[Trial],
) -> None:
    """Checks of so many devices, with the update to what was tried. ``before``: what each ran until then."""
    channel = next(channel for channel in app.channels if channel.is_default)
    present = catalogs.load(session, channel.id, fleet.platform)
    past = _as_it_was(present, trials)
    checks, moves = [], []
    for number in range(min(fleet.devices, MOST)):
        trial = next((each for each in trials if number in each.ways), None)
        way = trial.ways[number] if trial is not None else {}
        installed_at = way.get("installed_at")
        for at in _times(fleet, number, way):
            runs_then = runs[number] if installed_at is None or at >= installed_at else before[number]
            catalog = (
                past
                if any(each.halted_at is not None and at < each.halted_at for each in trials)
                else present
            )
            found = decide(
                UpdateQuery(parse_current_version(running(runs_then)), fleet.id_of(number)), catalog, at
            )
            checks.append(_check(app.id, channel.id, fleet, number, running(runs_then), found, at))
        if installed_at is not None:
            way_row = {
                "from_version": running(before[number]),
                "to_version": running(runs[number]),
                "is_inferred": number % 3 == 0,
            }
            moves.append(
                of(app.id, fleet, device_id=fleet.hash_of(number), completed_at=installed_at, **way_row)
            )
    store(session, UpdateCheck, checks)
    store(session, UpdateCompletion, moves)


def _as_it_was(present: Catalog, trials: Sequence[Trial]) -> Catalog:
    """Before anything was halted."""
    halted = {trial.release.id for trial in trials if trial.halted_at is not None}
    for candidate in present.candidates:
        if candidate.release_id in halted:
            present = present.with_release(replace(candidate, state=ReleaseState.ACTIVE))
    return present


def _times(fleet: Fleet, number: int, way: dict[str, Any]) -> list[datetime]:
    """When the device asked: lately, at the offer, and before it."""
    at, times = fleet.seen[number], []
    for _ in range(CHECKS):
        times.append(at)
        at -= timedelta(minutes=fleet.dice.randrange(200, 900))
    offered = way.get("offered_at")
    if offered is not None:
        times = [each for each in times if not offered < each < (way["installed_at"] or offered)]
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
