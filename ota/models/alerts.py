"""The receivers of alerts, and each delivery to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ota.core.alerts import DeliveryState
from ota.models.apps import App
from ota.models.base import Base, one_of

_PENDING = text("state = 'pending'")


class Webhook(Base):
    """A web address that gets the alerts of an app. ``events`` are the kinds of alerts that it gets.

    ``secret`` signs the requests, so it is stored in plain text.
    """

    __tablename__ = "webhooks"

    id: Mapped[int] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"), index=True)
    url: Mapped[str] = mapped_column(String(500))
    secret: Mapped[str] = mapped_column(String(80))
    events: Mapped[list[str]] = mapped_column(JSON)
    is_enabled: Mapped[bool] = mapped_column(default=True, server_default=true())
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(254))
    revision: Mapped[int] = mapped_column(default=1)

    app: Mapped[App] = relationship()


class AlertRecipient(Base):
    """An e-mail address that gets the alerts of an app. ``events`` are the kinds of alerts that it gets."""

    __tablename__ = "alert_recipients"
    __table_args__ = (UniqueConstraint("app_id", "email"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"), index=True)
    email: Mapped[str] = mapped_column(String(254))
    events: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(254))

    app: Mapped[App] = relationship()


class Delivery(Base):
    """One alert to one receiver, written in the transaction of the act. All its tries have the same ``key``.

    A pending delivery is due at ``next_try_at``. A sender counts ``attempts`` before it sends anything, and
    holds the delivery until ``held_until``: until then no other delivery to the same webhook or recipient is
    sent. ``last_status`` is the HTTP status from a webhook. ``last_answer`` is the answer or the error,
    shortened.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        one_of("state", DeliveryState),
        CheckConstraint("(webhook_id IS NULL) <> (recipient_id IS NULL)", name="to_one"),
        Index("ix_deliveries_due", "next_try_at", sqlite_where=_PENDING, postgresql_where=_PENDING),
        # Never reuse the id of a deleted delivery, because addresses contain it.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(32))
    app_id: Mapped[int] = mapped_column(ForeignKey("apps.id"), index=True)
    webhook_id: Mapped[int | None] = mapped_column(ForeignKey("webhooks.id"), index=True)
    recipient_id: Mapped[int | None] = mapped_column(ForeignKey("alert_recipients.id"), index=True)
    event: Mapped[str] = mapped_column(String(40))
    payload: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(20), default=DeliveryState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime]
    held_until: Mapped[datetime | None]
    last_tried_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_answer: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(index=True)
    delivered_at: Mapped[datetime | None]

    webhook: Mapped[Webhook | None] = relationship()
    recipient: Mapped[AlertRecipient | None] = relationship()
