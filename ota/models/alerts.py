"""Who is told when something happens, and every telling until it has arrived."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ota.core.alerts import DeliveryState
from ota.models.apps import App
from ota.models.base import Base, one_of

_WAITS = "state = 'pending'"


class Webhook(Base):
    """An address that is sent the events of an app. ``secret`` signs what is sent, so it is kept as it is; ``events`` are alert kinds."""

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
    """Somebody who gets e-mail about the events of an app."""

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
    """One telling, written in the transaction of the act itself. ``key`` is the same in all its tries.

    While it is pending, ``next_try_at`` says when it may be tried. Whoever tries it counts ``attempts`` before anything is sent, and holds
    it until ``held_until``: till then nobody else sends anything to the same webhook or recipient. ``last_status`` is a webhook's HTTP
    status; ``last_answer`` what it answered, or what went wrong, cut.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        one_of("state", DeliveryState),
        CheckConstraint("(webhook_id IS NULL) <> (recipient_id IS NULL)", name="to_one"),
        Index("ix_deliveries_due", "next_try_at", sqlite_where=text(_WAITS), postgresql_where=text(_WAITS)),
        # An id is never given to another delivery after a deletion: addresses name it.
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
