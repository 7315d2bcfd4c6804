"""Reports for tests: sent through the API, written to the journal, or counted at times of a `World`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from ota.clock import utcnow
from ota.core.rollout import bucket
from ota.db import reader, transaction
from ota.models import Event, Release, ReleaseCount, Version
from ota.models.base import Base
from ota.parts import part
from ota.telemetry import counting, records
from ota.telemetry.records import CompletionReport, EventReport
from ota.web.journal import Reports
from tests.conftest import Api, drain
from tests.releases.given import START

SECRET = "s" * 32
DAY = timedelta(days=1)
DEVICE = {"device_id": "phone", "platform": "android"}


def event(number: int = 1, **more: Any) -> dict[str, Any]:
    """The JSON of an event."""
    return {"event_id": f"e-{number}", "event": "installed", "version": "1.1.0+2", **more}


def send(api: Api, *events: Any, **more: Any) -> dict[str, Any]:
    """Send a batch of events; return the answer, which must be 202."""
    answer = api.client.post("/api/updates/events", json={**DEVICE, "events": list(events), **more})
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json
    return found


def codes(answer: dict[str, Any]) -> list[tuple[int, str]]:
    """Index and error code of each refused event."""
    return [(each["index"], each["code"]) for each in answer["refused"]]


def kept(app: Flask) -> list[Event]:
    """Count the journal; return all events."""
    drain(app)
    with app.app_context():
        return list(reader().scalars(select(Event).order_by(Event.id)))


def rows(model: type[Base]) -> list[Any]:
    """All rows of a table, as they are now."""
    reader().rollback()
    return list(reader().scalars(select(model)))


def stages(release_id: int) -> dict[str, tuple[int, int]]:
    """Devices and events of each stage of a release."""
    query = select(ReleaseCount.stage, func.sum(ReleaseCount.devices), func.sum(ReleaseCount.events)).where(
        ReleaseCount.release_id == release_id
    )
    reader().rollback()
    return {
        stage: (int(devices), int(events))
        for stage, devices, events in reader().execute(query.group_by(ReleaseCount.stage))
    }


def release_of(version: dict[str, Any]) -> Release:
    """The only release of a version."""
    return reader().scalars(select(Release).where(Release.version_id == version["id"])).one()


def report(app: Flask, *reports: EventReport | CompletionReport) -> None:
    """Write reports to the journal, as the doors do, and count them."""
    for each in reports:
        part(Reports, app).keep(
            records.event(each) if isinstance(each, EventReport) else records.completion(each)
        )
    drain(app)


def happened(
    version: dict[str, Any], kind: str, device: str = "phone", number: int = 1, **more: Any
) -> EventReport:
    """An accepted event."""
    now = utcnow()
    given = {
        "app_id": 1,
        "platform": "android",
        "device_id": device,
        "event_id": f"{kind}-{number}",
        "kind": kind,
        "version_id": version["id"],
        "at": now,
        "received_at": now,
    }
    return EventReport(**{**given, **more})


class World:
    """The devices of one release on the app's default channel, whose reports are counted at chosen times."""

    def __init__(self, release_id: int, *, app_id: int = 1) -> None:
        release = reader().get_one(Release, release_id)
        self.release_id, self.channel_id, self.app_id = release_id, release.channel_id, app_id
        self.salt, self.version_id, self.code = release.salt, release.version_id, release.version.version_code

    def known(
        self, ids: Sequence[str], *, current: str = "1.1.0+1", at: datetime = START - DAY, **said: Any
    ) -> None:
        """The devices checked before the release started."""
        self.count(*(self.check(each, at, current, None, "up_to_date", **said) for each in ids), at=at)

    def is_inside(self, device: str, rollout: int) -> bool:
        """Whether the draw includes the device at this rollout, in basis points."""
        return bucket(self.salt, device) < rollout

    def check(
        self,
        device: str,
        at: datetime,
        current: str = "1.1.0+1",
        release_id: int | None = None,
        reason: str = "not_in_rollout",
        **said: Any,
    ) -> bytes:
        """The record of a check that was answered with an offer of the release, or with none."""
        body = {"platform": "android", "current_version": current, "device_id": device, **said}
        mark = records.answer_mark(self.channel_id, release_id, "update_available" if release_id else reason)
        return records.check(json.dumps(body).encode(), mark, at)

    def offered(self, device: str, at: datetime, **said: Any) -> bytes:
        """The record of a check that was answered with an offer of the release."""
        return self.check(device, at, release_id=self.release_id, **said)

    def runs_it(self, device: str, at: datetime) -> bytes:
        """The record of a check with the release's version."""
        return self.check(device, at, f"1.{self.code}.0+{self.code}", reason="up_to_date")

    def event(
        self,
        device: str,
        kind: str,
        at: datetime,
        *,
        received: datetime | None = None,
        version_id: int | None = None,
    ) -> bytes:
        """The record of an event."""
        return records.event(
            EventReport(
                app_id=self.app_id,
                platform="android",
                device_id=device,
                event_id=f"{kind} {at}",
                kind=kind,
                version_id=version_id or self.version_id,
                at=at,
                received_at=received or at,
            )
        )

    def count(self, *batch: bytes, at: datetime) -> None:
        """Count records, all of which must be readable."""
        with transaction() as session:
            assert counting.count(session, batch, secret=SECRET, now=at) == 0
        reader().rollback()


def version_id(code: int) -> int:
    """The id of the version with this version code."""
    reader().rollback()
    return reader().query(Version).filter(Version.version_code == code).one().id
