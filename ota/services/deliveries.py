"""Deliveries on their way: claimed, tried, tried again, given up. The row is the truth and the message only a hint.

Whoever tries a delivery first counts the attempt and moves the next try ahead, as one compare-and-set. A worker that dies leaves a
delivery that is due again later; a receiver may thus see one twice, with the same key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import select, update
from sqlalchemy.orm import Session, joinedload

from ota.core.alerts import DeliveryState, wait_after
from ota.db import MAX_ID, compare_and_set
from ota.errors import Conflict, NotFound
from ota.models import App, Delivery, Webhook
from ota.services import outbox

HOLD = timedelta(minutes=3)
"""For so long nobody else tries a delivery: longer than any try takes."""

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
    """What became of one try. ``status`` is HTTP's where there was an answer; ``said`` is the answer, or what went wrong."""

    is_delivered: bool
    said: str
    status: int | None = None


def due(session: Session, *, now: datetime, limit: int) -> Sequence[int]:
    """The ids of the deliveries that may be tried, the longest waiting first."""
    query = select(Delivery.id).where(Delivery.state == DeliveryState.PENDING, Delivery.next_try_at <= now)
    return session.scalars(query.order_by(Delivery.next_try_at, Delivery.id).limit(limit)).all()


def claim(session: Session, delivery_id: int, *, now: datetime) -> Parcel | None:
    """Take a delivery that is due. None when somebody else has it, or it is gone or done."""
    delivery = session.get(Delivery, delivery_id, options=[joinedload(Delivery.webhook), joinedload(Delivery.recipient)])
    if delivery is None or delivery.state != DeliveryState.PENDING or delivery.next_try_at > now:
        return None
    attempt, webhook, recipient = delivery.attempts + 1, delivery.webhook, delivery.recipient
    parcel = Parcel(
        delivery_id, attempt, delivery.key, delivery.event, dict(delivery.payload), url=webhook.url if webhook else None,
        secret=webhook.secret if webhook else None, email=recipient.email if recipient else None,
    )  # fmt: skip
    seen = {"state": DeliveryState.PENDING, "attempts": delivery.attempts, "next_try_at": delivery.next_try_at}
    values = {"attempts": attempt, "next_try_at": now + HOLD, "last_tried_at": now}
    return parcel if compare_and_set(session, Delivery, {"id": delivery_id}, seen, values) else None


def settle(session: Session, parcel: Parcel, outcome: Outcome, *, share: float, now: datetime) -> None:
    """Write down what became of a try. ``share`` (0 to 1, drawn by the caller) spreads the next one.

    Nothing when the delivery was taken over meanwhile: then somebody else's try counts.
    """
    values: dict[str, Any] = {"last_status": outcome.status, "last_answer": _cut(outcome.said)}
    wait = wait_after(parcel.attempt, share)
    if outcome.is_delivered:
        values |= {"state": DeliveryState.DELIVERED, "delivered_at": now}
    elif wait is None:
        values |= {"state": DeliveryState.GIVEN_UP}
    else:
        values |= {"next_try_at": now + wait}
    compare_and_set(session, Delivery, {"id": parcel.delivery_id}, {"state": DeliveryState.PENDING, "attempts": parcel.attempt}, values)


def resend(session: Session, delivery: Delivery, *, now: datetime) -> Delivery:
    """Send it once more, with all its tries. Raises `Conflict` while it waits anyway, or for a webhook that is switched off."""
    if delivery.state == DeliveryState.PENDING:
        raise Conflict("not_finished", "This delivery is still on its way: it is tried again by itself.", current=summary(delivery))
    if delivery.webhook is not None:
        demand_enabled(delivery.webhook)
    values = {"state": DeliveryState.PENDING, "attempts": 0, "next_try_at": now, "delivered_at": None}
    if not compare_and_set(session, Delivery, {"id": delivery.id}, {"state": delivery.state, "attempts": delivery.attempts}, values):
        raise Conflict("not_finished", "Somebody else sent this again at the same moment.", current=summary(delivery))
    outbox.hint(session)
    return delivery


def demand_enabled(webhook: Webhook) -> None:
    """Raises `Conflict` for a webhook that is switched off."""
    if not webhook.is_enabled:
        raise Conflict("webhook_off", "This webhook is switched off. Switch it on, then send.")


def give_up_all(session: Session, webhook_id: int, why: str) -> None:
    """Nothing more is sent to the webhook of what waits."""
    statement = update(Delivery).where(Delivery.webhook_id == webhook_id, Delivery.state == DeliveryState.PENDING)
    session.execute(statement.values(state=DeliveryState.GIVEN_UP, last_status=None, last_answer=why), execution_options=_QUIET)
    session.expire_all()


def get(session: Session, delivery_id: int, *, app: App | None = None) -> Delivery:
    """Raises `NotFound`, also for a delivery of another app than the given one."""
    delivery = session.get(Delivery, delivery_id) if delivery_id <= MAX_ID else None
    if delivery is None or (app is not None and delivery.app_id != app.id):
        raise NotFound("unknown_delivery", f"There is no delivery with the id {delivery_id}. They are kept for {KEPT_FOR.days} days.")
    return delivery


def of_app(session: Session, app: App, *, webhook_id: int | None = None, limit: int = 50, offset: int = 0) -> Sequence[Delivery]:
    """What was sent, or is on its way, the newest first; of one webhook where it is named."""
    query = select(Delivery).where(Delivery.app_id == app.id).options(joinedload(Delivery.webhook), joinedload(Delivery.recipient))
    if webhook_id is not None:
        query = query.where(Delivery.webhook_id == webhook_id)
    return session.scalars(query.order_by(Delivery.id.desc()).limit(limit).offset(offset)).all()


def forget_old(session: Session, *, now: datetime) -> None:
    """Delete deliveries that are done and older than `KEPT_FOR`."""
    old = delete_from(Delivery).where(Delivery.created_at < now - KEPT_FOR, Delivery.state != DeliveryState.PENDING)
    session.execute(old, execution_options=_QUIET)
    session.expire_all()


def summary(delivery: Delivery) -> dict[str, Any]:
    """The present state in a few fields, for a conflict's ``current``."""
    return {"id": delivery.id, "state": delivery.state, "attempts": delivery.attempts}


def _cut(text: str) -> str:
    """What a stranger answered, as one line that every database holds."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:MAX_ANSWER]
