"""JSON operations on recipients of e-mail. For administrators."""

from __future__ import annotations

from flask import Blueprint

from ota.alerts import receivers
from ota.apps import apps
from ota.clock import utcnow
from ota.config import Settings
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.models import AlertRecipient
from ota.parts import part
from ota.web.access import actor
from ota.web.alerts.shapes import (
    RecipientAnswer,
    RecipientRequest,
    RecipientsAnswer,
    RecipientsQuery,
    RecipientView,
)
from ota.web.operation import MANAGING, Operation, operation
from ota.web.shapes import DeletedAnswer

blueprint = Blueprint("manage_recipients", __name__)


@blueprint.get("/api/recipients")
@operation(
    Operation(
        access=Access.ADMIN,
        summary="List who gets e-mail",
        tag=MANAGING,
        query=RecipientsQuery,
        answer=RecipientsAnswer,
    )
)
def index(query: RecipientsQuery) -> RecipientsAnswer:
    """List the app's recipients of e-mail."""
    found = receivers.recipients_of(reader(), apps.find(reader(), query.app))
    return RecipientsAnswer(recipients=[_view(recipient) for recipient in found], has_mail=_has_mail())


@blueprint.post("/api/recipients")
@operation(
    Operation(
        access=Access.ADMIN,
        summary="Send somebody e-mail",
        tag=MANAGING,
        body=RecipientRequest,
        answer=RecipientAnswer,
        status=201,
    )
)
def create(body: RecipientRequest) -> RecipientAnswer:
    """Add a recipient, who gets e-mail about the app's events."""
    with transaction() as session:
        app = apps.find(session, body.app)
        recipient = receivers.add_recipient(
            session, actor(), app, email=body.email, events=body.events, now=utcnow()
        )
    message = f"{recipient.email} gets e-mail from now on."
    if not _has_mail():
        message = f"{recipient.email} is noted, but this server sends no e-mail before OTA_SMTP_URL is set."
    return RecipientAnswer(recipient=_view(recipient), message=message)


@blueprint.delete("/api/recipients/<int:recipient_id>")
@operation(
    Operation(access=Access.ADMIN, summary="Send somebody no more e-mail", tag=MANAGING, answer=DeletedAnswer)
)
def delete(recipient_id: int) -> DeletedAnswer:
    """Remove a recipient and its deliveries."""
    with transaction() as session:
        receivers.remove_recipient(
            session, actor(), receivers.get_recipient(session, recipient_id), now=utcnow()
        )
    return DeletedAnswer(message="The recipient is removed.")


def _has_mail() -> bool:
    settings = part(Settings)
    return bool(settings.smtp_url)


def _view(recipient: AlertRecipient) -> RecipientView:
    return RecipientView(
        id=recipient.id,
        email=recipient.email,
        events=list(recipient.events),
        created_at=recipient.created_at,
        created_by=recipient.created_by,
    )
