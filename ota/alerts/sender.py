"""What waits in the outbox, on its way out: opens the transactions around the steps of `ota.alerts.deliveries`."""

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

from ota.alerts import deliveries
from ota.alerts.deliveries import Due, Outcome, Parcel
from ota.alerts.transports import http, mail
from ota.clock import utcnow
from ota.config import Settings
from ota.db import first_line, reader, transaction

log = logging.getLogger(__name__)

AT_ONCE = 16
AT_ONE_HOST = 2
EVERY = 0.5
_AFTER_FAILURE = 2.0
_LAST_WAIT = 12.0
_random = secrets.SystemRandom()


@dataclass(frozen=True, slots=True)
class _Flight:
    """A delivery on its way. What became of it is written down until ``lands_by``; after that somebody else may have it."""

    parcel: Parcel
    host: str
    lands_by: float


class Sender:
    """Sends what is due, many at once and few to one host; begins the next as soon as one has ended.

    Only the threads of the pool wait for strangers. None of them knows the database, and no connection of it is held meanwhile.
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
        self._flights: dict[Future[Outcome], _Flight] = {}

    def run(self, stop: threading.Event) -> None:
        """Send until told to stop; then what is on its way has some seconds to arrive and be written down."""
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
            except Exception:  # What goes wrong today must not end the sending.
                pause = _AFTER_FAILURE
                log.exception("alerts wait")
            self._wait(pause, stop)
        self._land()

    def start(self) -> int:
        """Begin to send what is due, as far as there is room; answers how many were begun."""
        begun = 0
        busy = Counter(flight.host for flight in self._flights.values())
        reader().rollback()
        waiting = deliveries.due(reader(), now=self._clock())
        reader().rollback()
        for each in waiting:
            if len(self._flights) >= AT_ONCE:
                break
            host = _host(each)
            if busy[host] < AT_ONE_HOST and self._begin(each, host):
                busy[host] += 1
                begun += 1
        return begun

    def settle(self) -> None:
        """Write down what became of those that have ended. What the database does not take now is tried again at the next call."""
        for future in [each for each in self._flights if each.done()]:
            flight = self._flights[future]
            self._alive()
            try:
                with transaction() as session:
                    deliveries.settle(
                        session, flight.parcel, future.result(), share=_random.random(), now=self._clock()
                    )
            except DBAPIError as error:
                log.warning(
                    "what became of delivery %d is not written down yet: %s",
                    flight.parcel.delivery_id,
                    first_line(error),
                )
                if time.monotonic() < flight.lands_by:
                    continue
            del self._flights[future]

    def wait(self, seconds: float) -> bool:
        """Until one of those on their way has ended. False when none is."""
        wait(self._flights, seconds, FIRST_COMPLETED)
        return bool(self._flights)

    def close(self) -> None:
        """Those that nobody answers are left to themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, each: Due, host: str) -> bool:
        self._alive()
        now = self._clock()
        with transaction() as session:
            parcel = deliveries.claim(session, each.delivery_id, now=now)
        if parcel is None:
            return False
        lands_by = time.monotonic() + deliveries.HOLD.total_seconds()
        self._flights[self._pool.submit(_send, self._settings, parcel, now)] = _Flight(parcel, host, lands_by)
        return True

    def _wait(self, seconds: float, stop: threading.Event) -> None:
        # One that has ended but could not be written down must not make this a busy loop.
        if any(each.done() for each in self._flights) or not self._flights:
            stop.wait(seconds)
        else:
            self.wait(seconds)

    def _land(self) -> None:
        until = time.monotonic() + _LAST_WAIT
        while self._flights and time.monotonic() < until:
            self.settle()
            self._wait(0.2, threading.Event())
        self.close()


def deliver_due(settings: Settings, *, clock: Callable[[], datetime] = utcnow) -> int:
    """Try what is due until nothing is; answers how many were tried. May run any number of times, at once."""
    sender, tried = Sender(settings, clock=clock), 0
    try:
        while True:
            begun = sender.start()
            tried += begun
            if not sender.wait(EVERY) and not begun:
                return tried
            sender.settle()
    finally:
        sender.close()


def _host(each: Due) -> str:
    return "e-mail" if each.url is None else urlsplit(each.url).netloc.lower()


def _send(settings: Settings, parcel: Parcel, now: datetime) -> Outcome:
    try:
        return _post(settings, parcel, now) if parcel.url is not None else _mail(settings, parcel, now)
    except (
        Exception
    ) as error:  # One delivery's trouble, whatever it is, must not keep the others from being written down.
        log.exception("delivery %s failed", parcel.delivery_id)
        return Outcome(
            is_delivered=False, said=f"The server failed at it ({type(error).__name__}). Its log says more."
        )


def _post(settings: Settings, parcel: Parcel, now: datetime) -> Outcome:
    body, timestamp = (
        msgspec.json.encode(deliveries.body(parcel.payload, parcel.key, settings.public_url)),
        str(int(now.timestamp())),
    )
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "ota-server",
        "X-OTA-Event": parcel.event,
        "X-OTA-Delivery": parcel.key,
        "X-OTA-Timestamp": timestamp,
        "X-OTA-Signature": http.signature(parcel.secret or "", timestamp, body),
    }
    try:
        answer = http.post(parcel.url or "", body, headers, allows_private=settings.webhook_private)
    except http.NotSent as error:
        return Outcome(is_delivered=False, said=str(error), is_down=True)
    if 300 <= answer.status < 400:
        return Outcome(
            is_delivered=False,
            said="A redirect, which is not followed. Enter the address that it leads to.",
            status=answer.status,
        )
    return Outcome(is_delivered=answer.is_welcome, said=answer.text, status=answer.status)


def _mail(settings: Settings, parcel: Parcel, now: datetime) -> Outcome:
    if not settings.smtp_url:
        return Outcome(
            is_delivered=False,
            said="No mail server is set. Set OTA_SMTP_URL and OTA_MAIL_FROM.",
            is_down=True,
        )
    told = deliveries.body(parcel.payload, parcel.key, settings.public_url)
    message, slug = str(told["message"]), told["app"]["slug"]
    link = f"{told['url']}\n\n" if "url" in told else ""
    end = f"Sent by {settings.public_url}. Who gets such mails is chosen at {settings.public_url}/apps/{slug}/alerts"
    text = f"{message}\n\n{link}-- \n{end}\n"
    letter = mail.Mail(settings.mail_from, parcel.email or "", message, text, parcel.key, now)
    try:
        return Outcome(is_delivered=True, said=mail.send(settings.smtp_url, letter))
    except mail.NotMailed as error:
        return Outcome(is_delivered=False, said=str(error), is_down=error.is_down, is_final=error.is_final)
