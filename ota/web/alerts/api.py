"""JSON operations on webhooks and deliveries. For administrators: a webhook sends data to the outside."""

from __future__ import annotations

from flask import Blueprint

from ota.alerts import deliveries, receivers
from ota.apps import apps
from ota.clock import utcnow
from ota.config import Settings
from ota.core.alerts import DeliveryState
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.models import Delivery, Webhook
from ota.parts import part
from ota.web.access import actor
from ota.web.alerts.shapes import (
    AllDeliveriesQuery,
    DeliveriesAnswer,
    DeliveriesQuery,
    DeliveryAnswer,
    DeliveryView,
    WebhookAnswer,
    WebhookEditRequest,
    WebhookRequest,
    WebhooksAnswer,
    WebhooksQuery,
    WebhookView,
)
from ota.web.operation import MANAGING, Operation, operation
from ota.web.shapes import DeletedAnswer
from ota.web.views import public_url

blueprint = Blueprint("manage_alerts", __name__)


@blueprint.get("/api/webhooks")
@operation(
    Operation(
        access=Access.ADMIN, summary="List webhooks", tag=MANAGING, query=WebhooksQuery, answer=WebhooksAnswer
    )
)
def index(query: WebhooksQuery) -> WebhooksAnswer:
    """List the app's webhooks, the oldest first."""
    found = receivers.webhooks_of(reader(), apps.find(reader(), query.app))
    return WebhooksAnswer(webhooks=[_view(webhook) for webhook in found])


@blueprint.post("/api/webhooks")
@operation(
    Operation(
        access=Access.ADMIN,
        summary="Make a webhook",
        tag=MANAGING,
        body=WebhookRequest,
        answer=WebhookAnswer,
        status=201,
    )
)
def create(body: WebhookRequest) -> WebhookAnswer:
    """Create a webhook, which sends the app's events to an address. The answer shows its secret, once."""
    with transaction() as session:
        webhook = receivers.add_webhook(
            session,
            actor(),
            apps.find(session, body.app),
            url=body.url,
            events=body.events,
            allows_private=allows_private(),
            now=utcnow(),
        )
    return WebhookAnswer(
        webhook=_view(webhook),
        secret=webhook.secret,
        message="The webhook is made. Keep the secret: it is not shown again.",
    )


@blueprint.patch("/api/webhooks/<int:webhook_id>")
@operation(
    Operation(
        access=Access.ADMIN,
        summary="Change a webhook",
        tag=MANAGING,
        body=WebhookEditRequest,
        answer=WebhookAnswer,
    )
)
def edit(webhook_id: int, body: WebhookEditRequest) -> WebhookAnswer:
    """Change a webhook's address or events, switch it on or off, or renew its secret."""
    with transaction() as session:
        webhook = receivers.edit_webhook(
            session,
            actor(),
            receivers.get_webhook(session, webhook_id),
            url=body.url,
            events=body.events,
            is_enabled=body.is_enabled,
            rotates_secret=body.rotate_secret,
            revision=body.revision,
            allows_private=allows_private(),
            now=utcnow(),
        )
    secret = webhook.secret if body.rotate_secret else None
    message = (
        "The secret is renewed. Keep it: it is not shown again." if secret else "The webhook is changed."
    )
    return WebhookAnswer(webhook=_view(webhook), secret=secret, message=message)


@blueprint.delete("/api/webhooks/<int:webhook_id>")
@operation(Operation(access=Access.ADMIN, summary="Delete a webhook", tag=MANAGING, answer=DeletedAnswer))
def delete(webhook_id: int) -> DeletedAnswer:
    """Delete a webhook and its deliveries."""
    with transaction() as session:
        receivers.delete_webhook(session, actor(), receivers.get_webhook(session, webhook_id), now=utcnow())
    return DeletedAnswer(message="The webhook is deleted.")


@blueprint.post("/api/webhooks/<int:webhook_id>/test")
@operation(
    Operation(
        access=Access.ADMIN, summary="Try a webhook out", tag=MANAGING, answer=DeliveryAnswer, status=202
    )
)
def test(webhook_id: int) -> DeliveryAnswer:
    """Send an event of the kind `test` to a webhook, whatever kinds it has chosen."""
    with transaction() as session:
        delivery = receivers.test_webhook(
            session, actor(), receivers.get_webhook(session, webhook_id), now=utcnow()
        )
    return DeliveryAnswer(delivery=_delivery_view(delivery), message="A test is on its way.")


@blueprint.get("/api/webhooks/<int:webhook_id>/deliveries")
@operation(
    Operation(
        access=Access.ADMIN,
        summary="List what a webhook was sent",
        tag=MANAGING,
        query=DeliveriesQuery,
        answer=DeliveriesAnswer,
    )
)
def sent(webhook_id: int, query: DeliveriesQuery) -> DeliveriesAnswer:
    """List a webhook's deliveries with their answers, the newest first. They are kept for 30 days."""
    webhook = receivers.get_webhook(reader(), webhook_id)
    found = deliveries.of_app(
        reader(), webhook.app, webhook_id=webhook.id, limit=query.limit, offset=query.offset
    )
    return DeliveriesAnswer(deliveries=[_delivery_view(delivery) for delivery in found])


@blueprint.get("/api/deliveries")
@operation(
    Operation(
        access=Access.ADMIN,
        summary="List what was sent",
        tag=MANAGING,
        query=AllDeliveriesQuery,
        answer=DeliveriesAnswer,
    )
)
def everything_sent(query: AllDeliveriesQuery) -> DeliveriesAnswer:
    """List all deliveries of an app, the newest first. They are kept for 30 days."""
    app = apps.find(reader(), query.app)
    found = deliveries.of_app(
        reader(), app, recipient_id=query.recipient_id, limit=query.limit, offset=query.offset
    )
    return DeliveriesAnswer(deliveries=[_delivery_view(delivery) for delivery in found])


@blueprint.post("/api/deliveries/<int:delivery_id>/resend")
@operation(
    Operation(
        access=Access.ADMIN, summary="Send something again", tag=MANAGING, answer=DeliveryAnswer, status=202
    )
)
def resend(delivery_id: int) -> DeliveryAnswer:
    """Send a delivery again that was delivered or given up, with all its tries."""
    with transaction() as session:
        delivery = deliveries.resend(session, deliveries.get(session, delivery_id), now=utcnow())
    return DeliveryAnswer(delivery=_delivery_view(delivery), message="It is sent again.")


def allows_private() -> bool:
    """Return whether this installation can send to addresses inside its own network."""
    settings = part(Settings)
    return settings.webhook_private


def _view(webhook: Webhook) -> WebhookView:
    return WebhookView(
        id=webhook.id,
        app=webhook.app.slug,
        url=webhook.url,
        events=list(webhook.events),
        is_enabled=webhook.is_enabled,
        created_at=webhook.created_at,
        created_by=webhook.created_by,
        revision=webhook.revision,
    )


def _delivery_view(delivery: Delivery) -> DeliveryView:
    return DeliveryView(
        id=delivery.id,
        webhook_id=delivery.webhook_id,
        recipient_id=delivery.recipient_id,
        delivery=delivery.key,
        event=delivery.event,
        state=delivery.state,
        attempts=delivery.attempts,
        is_being_sent=deliveries.is_being_sent(delivery, now=utcnow()),
        created_at=delivery.created_at,
        last_tried_at=delivery.last_tried_at,
        next_try_at=delivery.next_try_at if delivery.state == DeliveryState.PENDING else None,
        delivered_at=delivery.delivered_at,
        last_status=delivery.last_status,
        last_answer=delivery.last_answer,
        payload=deliveries.body(delivery.payload, delivery.key, public_url()),
    )
