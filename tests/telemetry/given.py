"""A fleet that is counted by the real code, at moments of its own: checks and events, as the journal hands them over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ota.core.rollout import bucket
from ota.db import reader, transaction
from ota.models import Channel, Release, Version
from ota.telemetry import counting, records
from ota.telemetry.records import EventReport
from tests.releases.given import START

SECRET = "s" * 32
DAY = timedelta(days=1)


class World:
    """The devices of one release of the app's default channel."""

    def __init__(self, release_id: int, *, app_id: int = 1) -> None:
        release = reader().get_one(Release, release_id)
        self.release_id, self.channel_id, self.app_id = release_id, release.channel_id, app_id
        self.salt, self.version_id, self.code = release.salt, release.version_id, release.version.version_code

    def known(
        self, ids: Sequence[str], *, current: str = "1.1.0+1", at: datetime = START - DAY, **said: Any
    ) -> None:
        """They have asked before the release started."""
        self.count(*(self.check(each, at, current, None, "up_to_date", **said) for each in ids), at=at)

    def is_inside(self, device: str, rollout: int) -> bool:
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
        """A check that was answered with an offer of the release, or with nothing."""
        body = records._encode(
            {"platform": "android", "current_version": current, "device_id": device, **said}
        )
        return records.check(
            body,
            records.answer_mark(self.channel_id, release_id, "update_available" if release_id else reason),
            at,
        )

    def offered(self, device: str, at: datetime, **said: Any) -> bytes:
        return self.check(device, at, release_id=self.release_id, **said)

    def runs_it(self, device: str, at: datetime) -> bytes:
        """A check that shows the release's version."""
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
        with transaction() as session:
            assert counting.count(session, batch, secret=SECRET, now=at) == 0
        reader().rollback()


def version_id(code: int) -> int:
    reader().rollback()
    return reader().query(Version).filter(Version.version_code == code).one().id


def other_channel(name: str) -> Channel:
    return reader().query(Channel).filter(Channel.name == name).one()
