"""The sender: sends due deliveries, and opens the transactions around the steps of `ota.alerts.tries`."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import msgspec
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ota.alerts import deliveries, tries
from ota.alerts.transports import http, mail
from ota.alerts.tries import DeliveryOutcome, Due, Parcel
from ota.clock import utcnow
from ota.config import Settings
from ota.db import first_line, reader, transaction

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Deliveries sent at the same time."""

AT_ONE_HOST = 2
"""Of these, deliveries to one host."""

EVERY = 0.5
"""Seconds between two searches for due deliveries."""

_AFTER_FAILURE = 2.0
_LAST_WAIT = 12.0
_random = secrets.SystemRandom()


@dataclass(frozen=True, slots=True)
class _Flight:
    """A delivery that is being sent.

    Its result is stored before ``lands_by``; later another process can claim it.
    """

    parcel: Parcel
    host: str
    lands_by: float


class Sender:
    """Sends due deliveries, many at once but few to one host. Starts the next one as soon as one has ended.

    Only the threads of the pool wait for receivers. They do not use the database, and no connection to it is
    held meanwhile.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = utcnow,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings, self._clock, self._alive = settings, clock, alive
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="send")
        self._flights: dict[Future[DeliveryOutcome], _Flight] = {}

    def run(self, stop: threading.Event) -> None:
        """Send until ``stop`` is set.

        Deliveries that are being sent then get some seconds to end and be stored.
        """
        while not stop.is_set():
            self._alive()
            pause = EVERY
            try:
                self.settle()
                self.start()
            except SQLAlchemyError as error:
                pause = _AFTER_FAILURE
                if not isinstance(error, DBAPIError):
                    log.exception("alerts wait")
                else:
                    log.warning("alerts wait, the database does not answer: %s", first_line(error))
            except Exception:  # One error must not stop the sender.
                pause = _AFTER_FAILURE
                log.exception("alerts wait")
            self._wait(pause, stop)
        self._land()

    def start(self) -> int:
        """Start to send due deliveries, within the limits. Return how many were started."""
        started = 0
        busy = Counter(flight.host for flight in self._flights.values())
        reader().rollback()
        waiting = tries.due(reader(), now=self._clock())
        reader().rollback()
        for due in waiting:
            if len(self._flights) >= AT_ONCE:
                break
            host = _host(due)
            if busy[host] < AT_ONE_HOST and self._begin(due, host):
                busy[host] += 1
                started += 1
        return started

    def settle(self) -> None:
        """Store the results of deliveries that have ended.

        Without the database they are kept for the next call.
        """
        for future in [future for future in self._flights if future.done()]:
            flight = self._flights[future]
            self._alive()
            try:
                with transaction() as session:
                    tries.settle(
                        session, flight.parcel, future.result(), share=_random.random(), now=self._clock()
                    )
            except DBAPIError as error:
                log.warning(
                    "the result of delivery %d is not stored yet: %s",
                    flight.parcel.delivery_id,
                    first_line(error),
                )
                if time.monotonic() < flight.lands_by:
                    continue
            del self._flights[future]

    def wait(self, seconds: float) -> bool:
        """Wait until a delivery has ended, at most ``seconds``. Return False if none is being sent."""
        wait(self._flights, seconds, FIRST_COMPLETED)
        return bool(self._flights)

    def close(self) -> None:
        """Release the pool without waiting for receivers that have not answered."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, due: Due, host: str) -> bool:
        self._alive()
        now = self._clock()
        with transaction() as session:
            parcel = tries.claim(session, due.delivery_id, now=now)
        if parcel is None:
            return False
        lands_by = time.monotonic() + tries.HOLD.total_seconds()
        self._flights[self._pool.submit(_send, self._settings, parcel, now)] = _Flight(parcel, host, lands_by)
        return True

    def _wait(self, seconds: float, stop: threading.Event) -> None:
        # A result that could not be stored must not cause a busy loop.
        if any(future.done() for future in self._flights) or not self._flights:
            stop.wait(seconds)
        else:
            self.wait(seconds)

    def _land(self) -> None:
        until = time.monotonic() + _LAST_WAIT
        while self._flights and time.monotonic() < until:
            self.settle()
            self._wait(0.2, threading.Event())
        self.close()


def _host(due: Due) -> str:
    return "e-mail" if due.url is None else urlsplit(due.url).netloc.lower()


def _send(settings: Settings, parcel: Parcel, now: datetime) -> DeliveryOutcome:
    try:
        return _post(settings, parcel, now) if parcel.url is not None else _mail(settings, parcel, now)
    except (
        Exception
    ) as error:  # The error of one delivery must not keep the results of others from being stored.
        log.exception("delivery %s failed", parcel.delivery_id)
        return DeliveryOutcome(
            is_delivered=False, answer=f"The server failed at it ({type(error).__name__}). Its log says more."
        )


def _post(settings: Settings, parcel: Parcel, now: datetime) -> DeliveryOutcome:
    body = msgspec.json.encode(deliveries.body(parcel.payload, parcel.key, settings.public_url))
    headers = _signed_headers(parcel, body, str(int(now.timestamp())))
    try:
        answer = http.post(parcel.url or "", body, headers, allows_private=settings.webhook_private)
    except http.NotSent as error:
        return DeliveryOutcome(is_delivered=False, answer=str(error), is_down=True)
    if 300 <= answer.status < 400:
        text = "A redirect, which is not followed. Enter the address that it leads to."
        return DeliveryOutcome(is_delivered=False, answer=text, status=answer.status)
    return DeliveryOutcome(is_delivered=answer.is_success, answer=answer.text, status=answer.status)


def _signed_headers(parcel: Parcel, body: bytes, timestamp: str) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "ota-server",
        "X-OTA-Event": parcel.event,
        "X-OTA-Delivery": parcel.key,
        "X-OTA-Timestamp": timestamp,
        "X-OTA-Signature": http.signature(parcel.secret or "", timestamp, body),
    }


def _mail(settings: Settings, parcel: Parcel, now: datetime) -> DeliveryOutcome:
    if not settings.smtp_url:
        answer = "No mail server is set. Set OTA_SMTP_URL and OTA_MAIL_FROM."
        return DeliveryOutcome(is_delivered=False, answer=answer, is_down=True)
    subject, text = _letter(settings, parcel)
    letter = mail.Mail(settings.mail_from, parcel.email or "", subject, text, parcel.key, now)
    try:
        return DeliveryOutcome(is_delivered=True, answer=mail.send(settings.smtp_url, letter))
    except mail.NotMailed as error:
        return DeliveryOutcome(
            is_delivered=False, answer=str(error), is_down=error.is_down, is_final=error.is_final
        )


def _letter(settings: Settings, parcel: Parcel) -> tuple[str, str]:
    """Return subject and text of an alert by e-mail."""
    alert = deliveries.body(parcel.payload, parcel.key, settings.public_url)
    message, server = str(alert["message"]), settings.public_url
    link = f"{alert['url']}\n\n" if "url" in alert else ""
    end = f"Sent by {server}. Who gets such mails is chosen at {server}/apps/{alert['app']['slug']}/alerts"
    return message, f"{message}\n\n{link}-- \n{end}\n"
