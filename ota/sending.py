"""What waits in the outbox, on its way out: opens the transactions around the steps of `ota.services.deliveries`."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import msgspec

from ota.clock import utcnow
from ota.config import Settings
from ota.db import reader, transaction
from ota.senders import http, mail
from ota.services import deliveries
from ota.services.deliveries import Outcome, Parcel

log = logging.getLogger(__name__)

AT_ONCE = 8
_LONGEST_RUN = 60.0
_random = secrets.SystemRandom()


def deliver_due(settings: Settings, *, clock: Callable[[], datetime] = utcnow) -> int:
    """Try what is due, some at a time, for about a minute; answers how many were tried. May run any number of times, at once.

    No connection of the database is held while a stranger is waited for.
    """
    tried, until = 0, time.monotonic() + _LONGEST_RUN
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while time.monotonic() < until:
            parcels = _claim(clock)
            if parcels is None:
                break
            for parcel, outcome in zip(parcels, pool.map(lambda each: _send(settings, each, clock()), parcels), strict=True):
                with transaction() as session:
                    deliveries.settle(session, parcel, outcome, share=_random.random(), now=clock())
            tried += len(parcels)
    return tried


def _claim(clock: Callable[[], datetime]) -> list[Parcel] | None:
    """What this worker may send now; None when nothing is due."""
    reader().rollback()
    ids = deliveries.due(reader(), now=clock(), limit=AT_ONCE)
    found = []
    for delivery_id in ids:
        with transaction() as session:
            parcel = deliveries.claim(session, delivery_id, now=clock())
        if parcel is not None:
            found.append(parcel)
    return found if ids else None


def _send(settings: Settings, parcel: Parcel, now: datetime) -> Outcome:
    try:
        return _post(settings, parcel, now) if parcel.url is not None else _mail(settings, parcel, now)
    except Exception as error:  # One delivery's trouble, whatever it is, must not keep the others from being written down.
        log.exception("delivery %s failed", parcel.delivery_id)
        return Outcome(is_delivered=False, said=f"The server failed at it ({type(error).__name__}). Its log says more.")


def _post(settings: Settings, parcel: Parcel, now: datetime) -> Outcome:
    body, timestamp = msgspec.json.encode({**parcel.payload, "delivery": parcel.key}), str(int(now.timestamp()))
    headers = {
        "Content-Type": "application/json", "User-Agent": "ota-server", "X-OTA-Event": parcel.event, "X-OTA-Delivery": parcel.key,
        "X-OTA-Timestamp": timestamp, "X-OTA-Signature": http.signature(parcel.secret or "", timestamp, body),
    }  # fmt: skip
    try:
        answer = http.post(parcel.url or "", body, headers, allows_private=settings.webhook_private)
    except http.NotSent as error:
        return Outcome(is_delivered=False, said=str(error))
    if 300 <= answer.status < 400:
        return Outcome(
            is_delivered=False, said="A redirect, which is not followed. Enter the address that it leads to.", status=answer.status
        )
    return Outcome(is_delivered=answer.is_welcome, said=answer.text, status=answer.status)


def _mail(settings: Settings, parcel: Parcel, now: datetime) -> Outcome:
    if not settings.smtp_url:
        return Outcome(is_delivered=False, said="No mail server is set. Set OTA_SMTP_URL and OTA_MAIL_FROM.")
    message = str(parcel.payload["message"])
    slug = parcel.payload["app"]["slug"]
    text = f"{message}\n\n-- \nSent by {settings.public_url}. Who gets such mails is chosen at {settings.public_url}/apps/{slug}/alerts\n"
    letter = mail.Mail(settings.mail_from, parcel.email or "", message, text, parcel.key, now)
    try:
        return Outcome(is_delivered=True, said=mail.send(settings.smtp_url, letter))
    except mail.NotMailed as error:
        return Outcome(is_delivered=False, said=str(error))
