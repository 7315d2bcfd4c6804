"""Helpers for tests about alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select

from ota.alerts import receivers
from ota.alerts.sender import EVERY, Sender
from ota.apps import apps
from ota.clock import utcnow
from ota.config import Settings
from ota.core.lifecycle import ReleaseState
from ota.db import reader, transaction
from ota.history.audit import SYSTEM
from ota.models import Delivery, Release, Webhook
from ota.releases import acts as release_acts
from tests.releases.given import START


def hook(url: str, events: list[str] | None = None) -> int:
    """Add a webhook to the default app. Return its id."""
    with transaction() as session:
        app = apps.find(session, None)
        return receivers.add_webhook(
            session, SYSTEM, app, url=url, events=events, allows_private=True, now=START
        ).id


def write_to(email: str, events: list[str] | None = None) -> int:
    """Add a recipient to the default app. Return its id."""
    with transaction() as session:
        return receivers.add_recipient(
            session, SYSTEM, apps.find(session, None), email=email, events=events, now=START
        ).id


def sent() -> list[Delivery]:
    """All deliveries, the oldest first."""
    reader().rollback()
    return list(reader().scalars(select(Delivery).order_by(Delivery.id)))


def kinds() -> list[str]:
    """Kinds of all alerts, the oldest first."""
    return [delivery.event for delivery in sent()]


def deliver_due(settings: Settings, *, clock: Callable[[], datetime] = utcnow) -> int:
    """Try deliveries until none is due. Return the number of tries. Can run several times at once."""
    sender, tried = Sender(settings, clock=clock), 0
    try:
        while True:
            started = sender.start()
            tried += started
            if not sender.wait(EVERY) and not started:
                return tried
            sender.settle()
    finally:
        sender.close()


def move(release_id: int, state: ReleaseState, reason: str | None = None, at: datetime = START) -> None:
    """Change the state of a release."""
    with transaction() as session:
        release = session.get_one(Release, release_id)
        release_acts.change_state(session, SYSTEM, release, state, reason=reason, now=at)


def try_out(webhook_id: int, times: int = 1, at: datetime = START) -> None:
    """Put ``times`` test alerts into the outbox."""
    with transaction() as session:
        for _ in range(times):
            receivers.test_webhook(session, SYSTEM, session.get_one(Webhook, webhook_id), now=at)
