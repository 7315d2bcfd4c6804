"""Deliveries on their way: claimed, tried, tried again, given up. The row is the truth and the message only a hint.

Whoever tries a delivery first counts the attempt and holds it for a while, as one compare-and-set. A process that dies leaves a
delivery that is due again when that while has passed; a receiver may thus see one twice, with the same key.

To one receiver (a webhook, a recipient of e-mail) one delivery is on its way at a time, the oldest first. However many processes
send, a receiver that answers is thus told things in the order in which they happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.orm import Session, aliased, joinedload

from ota.core.alerts import DeliveryState, wait_after
from ota.db import MAX_ID, compare_and_set
from ota.errors import Conflict, NotFound
from ota.models import AlertRecipient, App, Delivery, Webhook

HOLD = timedelta(minutes=3)
"""For so long nobody else tries a delivery: longer than any try takes."""

OFF = "The webhook was switched off before this was sent."

KEPT_FOR = timedelta(days=30)
MAX_ANSWER = 500

_QUIET = {"synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Parcel:
    """A delivery that this worker holds, with all it needs to send it. To a webhook (``url``, ``secret``) or an ``email``."""

    delivery_id: int
    attempt: int
    key: str
    event: str
    payload: dict[str, Any]
    url: str | None = None
    secret: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try. ``status`` is HTTP's where there was an answer; ``said`` is the answer, or what went wrong.

    ``is_down``: the receiver is not there at all, so that whatever else waits for it would fare the same. ``is_final``: no
    other try would end otherwise.
    """

    is_delivered: bool
    said: str
    status: int | None = None
    is_down: bool = False
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """The next delivery of one receiver. ``url`` is the webhook's; e-mail has none."""

    delivery_id: int
    url: str | None


def due(session: Session, *, now: datetime) -> Sequence[Due]:
    """The oldest delivery that is due of each receiver that is sent nothing at the moment, the longest waiting first."""
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
    """Take a delivery that is due. None when its receiver is being sent something, or it is gone or done.

    What is for a webhook that was switched off is given up.
    """
    if not _hold_receiver(session, delivery_id):
        return None
    query = select(Delivery).where(Delivery.id == delivery_id, *_is_due(now), ~_held_sibling(Delivery, now))
    delivery = session.scalar(query.options(joinedload(Delivery.webhook), joinedload(Delivery.recipient)))
    if delivery is None:
        return None
    attempt, webhook, recipient = delivery.attempts + 1, delivery.webhook, delivery.recipient
    seen = {"state": DeliveryState.PENDING, "attempts": delivery.attempts}
    if webhook is not None and not webhook.is_enabled:
        compare_and_set(
            session,
            Delivery,
            {"id": delivery_id},
            seen,
            {"state": DeliveryState.GIVEN_UP, "last_answer": OFF},
        )
        return None
    parcel = Parcel(
        delivery_id,
        attempt,
        delivery.key,
        delivery.event,
        dict(delivery.payload),
        url=webhook.url if webhook else None,
        secret=webhook.secret if webhook else None,
        email=recipient.email if recipient else None,
    )
    values = {"attempts": attempt, "held_until": now + HOLD, "last_tried_at": now}
    return parcel if compare_and_set(session, Delivery, {"id": delivery_id}, seen, values) else None


def settle(session: Session, parcel: Parcel, outcome: Outcome, *, share: float, now: datetime) -> None:
    """Write down what became of a try. ``share`` (0 to 1, drawn by the caller) spreads the next one.

    Where nobody answered, what else is due at the same webhook (or at the mail server) counts as tried along: a dead receiver costs one
    try and not one for each delivery. Nothing when the delivery was taken over meanwhile: then somebody else's try counts.
    """
    values: dict[str, Any] = {
        "last_status": outcome.status,
        "last_answer": _cut(outcome.said),
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
        _fail_along(session, parcel.delivery_id, _cut(outcome.said), share, now)


def _fail_along(session: Session, delivery_id: int, said: str, share: float, now: datetime) -> None:
    webhook_id = session.scalars(select(Delivery.webhook_id).where(Delivery.id == delivery_id)).one()
    # Of e-mail all goes to the same server.
    is_same = Delivery.recipient_id.is_not(None) if webhook_id is None else Delivery.webhook_id == webhook_id
    along = (*_is_due(now), is_same)
    for tries in session.scalars(select(Delivery.attempts).where(*along).distinct()).all():
        # The same share for all: they stay in their order.
        values = {"attempts": tries + 1, "last_tried_at": now, "last_status": None, "last_answer": said}
        statement = (
            update(Delivery)
            .where(*along, Delivery.attempts == tries)
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
    """Is its receiver being sent something?"""
    other = aliased(Delivery)
    is_same = or_(other.webhook_id == of.webhook_id, other.recipient_id == of.recipient_id)
    return exists().where(other.state == DeliveryState.PENDING, other.held_until > now, is_same).correlate(of)


def _hold_receiver(session: Session, delivery_id: int) -> bool:
    """Until the commit nobody else begins to send something to the same receiver. False when the delivery has gone."""
    row = session.execute(
        select(Delivery.webhook_id, Delivery.recipient_id).where(Delivery.id == delivery_id)
    ).one_or_none()
    if row is None:
        return False
    model, key = (Webhook, row[0]) if row[0] is not None else (AlertRecipient, row[1])
    # Does not wait for acts that are just about to tell the receiver something: they hold only its key.
    return session.scalar(select(model.id).where(model.id == key).with_for_update(key_share=True)) is not None


def is_being_sent(delivery: Delivery, *, now: datetime) -> bool:
    """Is somebody trying it right now?"""
    return (
        delivery.state == DeliveryState.PENDING
        and delivery.held_until is not None
        and delivery.held_until > now
    )


def resend(session: Session, delivery: Delivery, *, now: datetime) -> Delivery:
    """Send it once more, with all its tries. Raises `Conflict` while it waits anyway, or for a webhook that is switched off."""
    if delivery.state == DeliveryState.PENDING:
        raise Conflict(
            "not_finished",
            "This delivery is still on its way: it is tried again by itself.",
            current=summary(delivery),
        )
    if delivery.webhook is not None:
        demand_enabled(delivery.webhook)
    values = {
        "state": DeliveryState.PENDING,
        "attempts": 0,
        "next_try_at": now,
        "held_until": None,
        "delivered_at": None,
    }
    if not compare_and_set(
        session,
        Delivery,
        {"id": delivery.id},
        {"state": delivery.state, "attempts": delivery.attempts},
        values,
    ):
        raise Conflict(
            "not_finished", "Somebody else sent this again at the same moment.", current=summary(delivery)
        )
    return delivery


def demand_enabled(webhook: Webhook) -> None:
    """Raises `Conflict` for a webhook that is switched off."""
    if not webhook.is_enabled:
        raise Conflict("webhook_off", "This webhook is switched off. Switch it on, then send.")


def give_up_all(session: Session, webhook_id: int, why: str) -> None:
    """Nothing more is sent to the webhook of what waits."""
    statement = update(Delivery).where(
        Delivery.webhook_id == webhook_id, Delivery.state == DeliveryState.PENDING
    )
    session.execute(
        statement.values(state=DeliveryState.GIVEN_UP, held_until=None, last_status=None, last_answer=why),
        execution_options=_QUIET,
    )
    session.expire_all()


def get(session: Session, delivery_id: int, *, app: App | None = None) -> Delivery:
    """Raises `NotFound`, also for a delivery of another app than the given one."""
    delivery = session.get(Delivery, delivery_id) if delivery_id <= MAX_ID else None
    if delivery is None or (app is not None and delivery.app_id != app.id):
        raise NotFound(
            "unknown_delivery",
            f"There is no delivery with the id {delivery_id}. They are kept for {KEPT_FOR.days} days.",
        )
    return delivery


def of_app(
    session: Session,
    app: App,
    *,
    webhook_id: int | None = None,
    recipient_id: int | None = None,
    limit: int = 50,
    offset: int = 0,
) -> Sequence[Delivery]:
    """What was sent, or is on its way, the newest first; to one webhook or recipient where it is named."""
    query = (
        select(Delivery)
        .where(Delivery.app_id == app.id)
        .options(joinedload(Delivery.webhook), joinedload(Delivery.recipient))
    )
    if webhook_id is not None:
        query = query.where(Delivery.webhook_id == webhook_id)
    if recipient_id is not None:
        query = query.where(Delivery.recipient_id == recipient_id)
    return session.scalars(query.order_by(Delivery.id.desc()).limit(limit).offset(offset)).all()


def count(session: Session, *, webhook_id: int | None = None, recipient_id: int | None = None) -> int:
    """How many deliveries there are to this webhook, or this recipient: they go with it."""
    is_to = (
        Delivery.webhook_id == webhook_id if webhook_id is not None else Delivery.recipient_id == recipient_id
    )
    return session.scalar(select(func.count()).select_from(Delivery).where(is_to)) or 0


def forget_old(session: Session, *, now: datetime) -> None:
    """Delete deliveries that are done and older than `KEPT_FOR`."""
    old = delete_from(Delivery).where(
        Delivery.created_at < now - KEPT_FOR, Delivery.state != DeliveryState.PENDING
    )
    session.execute(old, execution_options=_QUIET)
    session.expire_all()


def body(payload: dict[str, Any], key: str, server_url: str) -> dict[str, Any]:
    """What a webhook is sent: the alert, with the address of the page where people see more."""
    path = payload.get("path")
    told = {name: value for name, value in payload.items() if name != "path"}
    return {**told, **({"url": server_url + path} if path else {}), "delivery": key}


def summary(delivery: Delivery) -> dict[str, Any]:
    """The present state in a few fields, for a conflict's ``current``."""
    return {"id": delivery.id, "state": delivery.state, "attempts": delivery.attempts}


def _cut(text: str) -> str:
    """What a stranger answered, as one line that every database holds."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:MAX_ANSWER]
