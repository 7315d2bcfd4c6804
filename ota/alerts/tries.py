"""Tries: deliveries claimed, sent, tried again, given up. The row is the truth.

A process that tries a delivery first counts the attempt and holds the delivery for a time, in one
compare-and-set. If the process dies, the delivery is due again after that time. A receiver can therefore get
a delivery twice, with the same key.

One delivery at a time is sent to one receiver (a webhook or a recipient of e-mail), the oldest first. However
many processes send, a receiver that answers gets alerts in the order of their acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased, joinedload

from ota.alerts.deliveries import OFF
from ota.core.alerts import DeliveryState, wait_after
from ota.db import compare_and_set
from ota.models import AlertRecipient, Delivery, Webhook

HOLD = timedelta(minutes=3)
"""Time for which a claimed delivery blocks others to its receiver. Longer than any try takes."""

MAX_ANSWER = 500
"""Characters of a receiver's answer that are kept."""

_QUIET = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Parcel:
    """A claimed delivery with all that is needed to send it.

    It goes to a webhook (``url`` and ``secret``) or to an ``email``.
    """

    delivery_id: int
    attempt: int
    key: str
    event: str
    payload: dict[str, Any]
    url: str | None = None
    secret: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """Result of one try. ``status`` is HTTP's, if there was an answer; ``answer`` is its text or the problem.

    ``is_down``: the receiver cannot be reached, so other deliveries to it would fail too. ``is_final``:
    another try would have the same result.
    """

    is_delivered: bool
    answer: str
    status: int | None = None
    is_down: bool = False
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """Next delivery of one receiver. ``url`` is the webhook's, and None for e-mail."""

    delivery_id: int
    url: str | None


def due(session: Session, *, now: datetime) -> Sequence[Due]:
    """Return the oldest due delivery of each receiver, the longest waiting first.

    Receivers with a held delivery are left out.
    """
    first = (
        select(func.min(Delivery.id))
        .where(*_is_due(now))
        .where(~_held_sibling(Delivery, now))
        .group_by(Delivery.webhook_id, Delivery.recipient_id)
    )
    query = select(Delivery.id, Webhook.url).outerjoin(Delivery.webhook).where(Delivery.id.in_(first))
    return [
        Due(delivery_id, url)
        for delivery_id, url in session.execute(query.order_by(Delivery.next_try_at, Delivery.id))
    ]


def claim(session: Session, delivery_id: int, *, now: datetime) -> Parcel | None:
    """Claim a due delivery.

    Return None if another one to its receiver is held, or if it is deleted or finished.

    A delivery to a webhook that was switched off is given up.
    """
    if not _hold_receiver(session, delivery_id):
        return None
    query = select(Delivery).where(Delivery.id == delivery_id, *_is_due(now), ~_held_sibling(Delivery, now))
    delivery = session.scalar(query.options(joinedload(Delivery.webhook), joinedload(Delivery.recipient)))
    if delivery is None:
        return None
    claimed = {"state": DeliveryState.PENDING, "attempts": delivery.attempts}
    if delivery.webhook is not None and not delivery.webhook.is_enabled:
        values: dict[str, Any] = {"state": DeliveryState.GIVEN_UP, "last_answer": OFF}
        compare_and_set(session, Delivery, {"id": delivery_id}, claimed, values)
        return None
    parcel = _parcel(delivery)
    values = {"attempts": parcel.attempt, "held_until": now + HOLD, "last_tried_at": now}
    return parcel if compare_and_set(session, Delivery, {"id": delivery_id}, claimed, values) else None


def _parcel(delivery: Delivery) -> Parcel:
    webhook, recipient = delivery.webhook, delivery.recipient
    return Parcel(
        delivery.id,
        delivery.attempts + 1,
        delivery.key,
        delivery.event,
        dict(delivery.payload),
        url=webhook.url if webhook else None,
        secret=webhook.secret if webhook else None,
        email=recipient.email if recipient else None,
    )


def settle(
    session: Session, parcel: Parcel, outcome: DeliveryOutcome, *, share: float, now: datetime
) -> None:
    """Store the result of a try. ``share`` (0 to 1, drawn by the caller) spreads the time of the next one.

    If the receiver is down, all due deliveries to the same webhook, or to the mail server, count as tried: a
    dead receiver costs one try instead of one for each delivery. Nothing is stored if another process has
    claimed the delivery meanwhile: then its try counts.
    """
    values: dict[str, Any] = {
        "last_status": outcome.status,
        "last_answer": _cut(outcome.answer),
        "held_until": None,
    }
    if outcome.is_delivered:
        values |= {"state": DeliveryState.DELIVERED, "delivered_at": now}
    elif outcome.is_final:
        values |= {"state": DeliveryState.GIVEN_UP}
    else:
        values |= _after_failure(parcel.attempt, share, now)
    seen = {"state": DeliveryState.PENDING, "attempts": parcel.attempt}
    if compare_and_set(session, Delivery, {"id": parcel.delivery_id}, seen, values) and outcome.is_down:
        _fail_others(session, parcel.delivery_id, _cut(outcome.answer), share, now)


def _fail_others(session: Session, delivery_id: int, answer: str, share: float, now: datetime) -> None:
    webhook_id = session.scalars(select(Delivery.webhook_id).where(Delivery.id == delivery_id)).one()
    # All e-mail goes to the same server.
    is_same = Delivery.recipient_id.is_not(None) if webhook_id is None else Delivery.webhook_id == webhook_id
    others = (*_is_due(now), is_same)
    for tries in session.scalars(select(Delivery.attempts).where(*others).distinct()).all():
        # The same share for all, so that they stay in order.
        values = {"attempts": tries + 1, "last_tried_at": now, "last_status": None, "last_answer": answer}
        statement = (
            update(Delivery)
            .where(*others, Delivery.attempts == tries)
            .values(**values, **_after_failure(tries + 1, share, now))
        )
        session.execute(statement, execution_options=_QUIET)
    session.expire_all()


def _after_failure(tries: int, share: float, now: datetime) -> dict[str, Any]:
    wait = wait_after(tries, share)
    return {"state": DeliveryState.GIVEN_UP} if wait is None else {"next_try_at": now + wait}


def _is_due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    is_free = or_(Delivery.held_until.is_(None), Delivery.held_until <= now)
    return (Delivery.state == DeliveryState.PENDING, Delivery.next_try_at <= now, is_free)


def _held_sibling(of: type[Delivery], now: datetime) -> ColumnElement[bool]:
    """Return the condition that another delivery to the same receiver is held."""
    other = aliased(Delivery)
    is_same = or_(other.webhook_id == of.webhook_id, other.recipient_id == of.recipient_id)
    return exists().where(other.state == DeliveryState.PENDING, other.held_until > now, is_same).correlate(of)


def _hold_receiver(session: Session, delivery_id: int) -> bool:
    """Lock the receiver until the commit, so that no other process claims a delivery to it.

    Returns False if the delivery has been deleted.
    """
    row = session.execute(
        select(Delivery.webhook_id, Delivery.recipient_id).where(Delivery.id == delivery_id)
    ).one_or_none()
    if row is None:
        return False
    model, key = (Webhook, row[0]) if row[0] is not None else (AlertRecipient, row[1])
    # Does not wait for acts that write deliveries to this receiver: they lock only its key.
    return session.scalar(select(model.id).where(model.id == key).with_for_update(key_share=True)) is not None


def _cut(text: str) -> str:
    """Return a receiver's answer as one printable line that every database can store."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:MAX_ANSWER]
