"""Deliveries as people see them: listed, sent again, given up, deleted. `ota.alerts.tries` sends them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, joinedload

from ota.core.alerts import DeliveryState
from ota.db import MAX_ID, compare_and_set
from ota.errors import Conflict, NotFound
from ota.models import App, Delivery, Webhook

OFF = "The webhook was switched off before this was sent."

KEPT_FOR = timedelta(days=30)

_QUIET = {"synchronize_session": False}


def is_being_sent(delivery: Delivery, *, now: datetime) -> bool:
    """Return whether a process holds the delivery in order to send it."""
    return (
        delivery.state == DeliveryState.PENDING
        and delivery.held_until is not None
        and delivery.held_until > now
    )


def resend(session: Session, delivery: Delivery, *, now: datetime) -> Delivery:
    """Send a finished delivery again, with all its tries.

    Raises `Conflict` if it is still pending, or if its webhook is switched off.
    """
    if delivery.state == DeliveryState.PENDING:
        raise Conflict(
            "not_finished",
            "This delivery is still on its way: it is tried again by itself.",
            current=_summary(delivery),
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
            "not_finished", "Somebody else sent this again at the same moment.", current=_summary(delivery)
        )
    return delivery


def demand_enabled(webhook: Webhook) -> None:
    """Raise `Conflict` if the webhook is switched off."""
    if not webhook.is_enabled:
        raise Conflict("webhook_off", "This webhook is switched off. Switch it on, then send.")


def give_up_all(session: Session, webhook_id: int, why: str) -> None:
    """Give up all pending deliveries to the webhook. ``why`` is shown as their answer."""
    statement = update(Delivery).where(
        Delivery.webhook_id == webhook_id, Delivery.state == DeliveryState.PENDING
    )
    session.execute(
        statement.values(state=DeliveryState.GIVEN_UP, held_until=None, last_status=None, last_answer=why),
        execution_options=_QUIET,
    )
    session.expire_all()


def get(session: Session, delivery_id: int, *, app: App | None = None) -> Delivery:
    """Return the delivery with this id. Raises `NotFound`, also if it belongs to another app than ``app``."""
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
    """Return the app's deliveries, the newest first: all, or those to one webhook or one recipient."""
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
    """Return the number of deliveries to this webhook or recipient, which are deleted with it."""
    is_to = (
        Delivery.webhook_id == webhook_id if webhook_id is not None else Delivery.recipient_id == recipient_id
    )
    return session.scalar(select(func.count()).select_from(Delivery).where(is_to)) or 0


def forget_old(session: Session, *, now: datetime) -> None:
    """Delete finished deliveries that are older than `KEPT_FOR`."""
    old = delete_from(Delivery).where(
        Delivery.created_at < now - KEPT_FOR, Delivery.state != DeliveryState.PENDING
    )
    session.execute(old, execution_options=_QUIET)
    session.expire_all()


def body(payload: dict[str, Any], key: str, server_url: str) -> dict[str, Any]:
    """Return what a webhook receives: the alert, with the address of the page that shows more."""
    path = payload.get("path")
    alert = {name: value for name, value in payload.items() if name != "path"}
    return {**alert, **({"url": server_url + path} if path else {}), "delivery": key}


def _summary(delivery: Delivery) -> dict[str, Any]:
    """Return the current state in a few fields, for a conflict's ``current``."""
    return {"id": delivery.id, "state": delivery.state, "attempts": delivery.attempts}
