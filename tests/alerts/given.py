"""Short words for tests about alerts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from ota.alerts import receivers
from ota.apps import apps
from ota.core.lifecycle import ReleaseState
from ota.db import reader, transaction
from ota.history.audit import SYSTEM
from ota.models import Delivery, Release, Webhook
from ota.releases import acts as release_acts
from tests.releases.given import START


def hook(url: str, events: list[str] | None = None) -> int:
    with transaction() as session:
        app = apps.find(session, None)
        return receivers.add_webhook(
            session, SYSTEM, app, url=url, events=events, allows_private=True, now=START
        ).id


def write_to(email: str, events: list[str] | None = None) -> int:
    with transaction() as session:
        return receivers.add_recipient(
            session, SYSTEM, apps.find(session, None), email=email, events=events, now=START
        ).id


def sent() -> list[Delivery]:
    reader().rollback()
    return list(reader().scalars(select(Delivery).order_by(Delivery.id)))


def move(release_id: int, state: ReleaseState, reason: str | None = None, at: datetime = START) -> None:
    with transaction() as session:
        release = session.get_one(Release, release_id)
        release_acts.change_state(session, SYSTEM, release, state, reason=reason, now=at)


def try_out(webhook_id: int, times: int = 1, at: datetime = START) -> None:
    """Leave so many tests to be sent."""
    with transaction() as session:
        for _ in range(times):
            receivers.test_webhook(session, SYSTEM, session.get_one(Webhook, webhook_id), now=at)
