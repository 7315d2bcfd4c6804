"""Shapes of requests and answers about receivers and deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from ota.alerts.fields import MAX_URL
from ota.core.alerts import SELECTABLE
from ota.db import MAX_ID
from ota.web.shapes import AppSlug, Revision

_KINDS: dict[str, Any] = {"enum": [kind.value for kind in SELECTABLE]}
EventKind = Annotated[str, Meta(max_length=60, extra_json_schema=_KINDS, examples=["release.halted"])]
WebhookUrl = Annotated[
    str,
    Meta(
        extra_json_schema={"maxLength": MAX_URL},
        description="http or https.",
        examples=["https://hooks.example.com/updates"],
    ),
]
Limit = Annotated[int, Meta(ge=1, le=200)]
Offset = Annotated[int, Meta(ge=0, le=1_000_000)]


class WebhooksQuery(Struct, kw_only=True):
    """The app whose webhooks are listed."""

    app: AppSlug | None = None


class WebhookRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The webhook to create. Without ``events`` it gets all kinds."""

    url: WebhookUrl
    events: list[EventKind] | None = None
    app: AppSlug | None = None


class WebhookEditRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The fields to change. Fields that are left out stay as they are."""

    url: WebhookUrl | None = None
    events: list[EventKind] | None = None
    is_enabled: bool | None = None
    rotate_secret: Annotated[bool, Meta(description="Renew the secret. The answer shows it, once.")] = False
    revision: Revision | None = None


class WebhookView(Struct, kw_only=True):
    """A webhook, without its secret."""

    id: int
    app: str
    url: str
    events: list[str]
    is_enabled: bool
    created_at: datetime
    created_by: str
    revision: int


class WebhookAnswer(Struct, kw_only=True):
    """A webhook and the act that was done. ``secret`` is present only when it was created or renewed."""

    ok: bool = True
    webhook: WebhookView
    message: str
    secret: str | None = None


class WebhooksAnswer(Struct, kw_only=True):
    """The app's webhooks."""

    ok: bool = True
    webhooks: list[WebhookView]


class DeliveriesQuery(Struct, kw_only=True):
    """The part of the list to return."""

    limit: Limit = 50
    offset: Offset = 0


class AllDeliveriesQuery(DeliveriesQuery, kw_only=True):
    """The deliveries to list: those of an app, or of one of its recipients."""

    app: AppSlug | None = None
    recipient_id: Annotated[int, Meta(ge=1, le=MAX_ID)] | None = None


class DeliveryView(Struct, kw_only=True):
    """One alert to one receiver. ``delivery`` is the value of ``X-OTA-Delivery``, the same in all tries."""

    id: int
    webhook_id: Annotated[int | None, Meta(description="None for e-mail.")]
    recipient_id: Annotated[int | None, Meta(description="None for a webhook.")]
    delivery: str
    event: str
    state: Annotated[str, Meta(description="pending, delivered or given_up.")]
    attempts: int
    is_being_sent: bool
    created_at: datetime
    last_tried_at: datetime | None
    next_try_at: Annotated[datetime | None, Meta(description="Only while it is pending.")]
    delivered_at: datetime | None
    last_status: Annotated[int | None, Meta(description="HTTP status of the last answer.")]
    last_answer: Annotated[
        str | None, Meta(description="The answer or the problem, cut after 500 characters.")
    ]
    payload: dict[str, Any]


class DeliveryAnswer(Struct, kw_only=True):
    """A delivery and the act that was done."""

    ok: bool = True
    delivery: DeliveryView
    message: str


class DeliveriesAnswer(Struct, kw_only=True):
    """A list of deliveries, the newest first."""

    ok: bool = True
    deliveries: list[DeliveryView]


class RecipientsQuery(Struct, kw_only=True):
    """The app whose recipients are listed."""

    app: AppSlug | None = None


class RecipientRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The recipient to add. Without ``events`` it gets all kinds."""

    email: Annotated[str, Meta(max_length=254, examples=["releases@example.com"])]
    events: list[EventKind] | None = None
    app: AppSlug | None = None


class RecipientView(Struct, kw_only=True):
    """A recipient of e-mail."""

    id: int
    email: str
    events: list[str]
    created_at: datetime
    created_by: str


class RecipientAnswer(Struct, kw_only=True):
    """A recipient and the act that was done."""

    ok: bool = True
    recipient: RecipientView
    message: str


class RecipientsAnswer(Struct, kw_only=True):
    """The app's recipients. ``has_mail``: this server can send e-mail."""

    ok: bool = True
    recipients: list[RecipientView]
    has_mail: bool
