"""Receivers of alerts: webhooks and e-mail recipients, chosen by administrators."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from ota.alerts import deliveries
from ota.alerts.fields import alert_kinds, domain_of, email_address, webhook_url, without_path
from ota.core.alerts import AlertKind
from ota.db import MAX_ID, compare_and_set
from ota.errors import Conflict, Invalid, NotFound, Stale
from ota.history import audit, outbox
from ota.history.audit import Actor
from ota.models import AlertRecipient, App, Delivery, Webhook

MAX_WEBHOOKS = 20
MAX_RECIPIENTS = 50

_QUIET = {"synchronize_session": False}


def add_webhook(
    session: Session,
    actor: Actor,
    app: App,
    *,
    url: str,
    events: Iterable[str] | None = None,
    allows_private: bool,
    now: datetime,
) -> Webhook:
    """Create a webhook. Its ``secret`` is for the receiver. Without ``events`` it gets all kinds.

    ``allows_private``: this installation can send to addresses inside its own network. Raises `Invalid`.
    """
    url, chosen = webhook_url(url, allows_private=allows_private), alert_kinds(events)
    there = session.scalar(select(func.count()).select_from(Webhook).where(Webhook.app_id == app.id))
    if (there or 0) >= MAX_WEBHOOKS:
        raise Invalid(
            "too_many_webhooks",
            f"{app.name} has {MAX_WEBHOOKS} webhooks, which is the most. Delete one first.",
        )
    webhook = Webhook(
        app_id=app.id,
        url=url,
        secret=_new_secret(),
        events=chosen,
        is_enabled=True,
        created_at=now,
        created_by=actor.label,
        revision=1,
    )
    session.add(webhook)
    session.flush()
    after = {"url": without_path(url), "events": chosen}
    audit.record(
        session, actor, "webhook.created", ("webhook", webhook.id), now=now, app_id=app.id, after=after
    )
    return webhook


def edit_webhook(
    session: Session,
    actor: Actor,
    webhook: Webhook,
    *,
    url: str | None = None,
    events: Iterable[str] | None = None,
    is_enabled: bool | None = None,
    rotates_secret: bool = False,
    revision: int | None = None,
    allows_private: bool,
    now: datetime,
) -> Webhook:
    """Change the given fields. Raises `Invalid`, and `Stale` for an old ``revision``.

    Deliveries that wait for a webhook that is switched off are given up. They can be sent again later.
    """
    seen = webhook.revision if revision is None else revision
    wanted = _wanted(url, events, is_enabled, allows_private=allows_private)
    changed = {name: value for name, value in wanted.items() if getattr(webhook, name) != value}
    if not changed and not rotates_secret:
        if seen != webhook.revision:
            raise _stale(webhook)
        return webhook
    webhook_id, app_id = webhook.id, webhook.app_id
    before = _for_history({name: getattr(webhook, name) for name in changed})
    _write(session, webhook, changed, seen, rotates_secret=rotates_secret)
    if is_enabled is False:
        deliveries.give_up_all(session, webhook_id, deliveries.OFF)
    after = _for_history(changed) | ({"secret": "renewed"} if rotates_secret else {})
    subject = ("webhook", webhook_id)
    audit.record(
        session, actor, "webhook.edited", subject, now=now, app_id=app_id, before=before, after=after
    )
    return webhook


def _wanted(
    url: str | None, events: Iterable[str] | None, is_enabled: bool | None, *, allows_private: bool
) -> dict[str, Any]:
    """Return the given fields as they are stored. Raises `Invalid`."""
    given = {
        "url": None if url is None else webhook_url(url, allows_private=allows_private),
        "events": None if events is None else alert_kinds(events),
        "is_enabled": is_enabled,
    }
    return {name: value for name, value in given.items() if value is not None}


def _write(
    session: Session, webhook: Webhook, changed: dict[str, Any], seen: int, *, rotates_secret: bool
) -> None:
    """Write the fields over the revision ``seen``. Raises `Stale`."""
    values = {**changed, "revision": seen + 1}
    if rotates_secret:
        values["secret"] = _new_secret()
    if not compare_and_set(session, Webhook, {"id": webhook.id}, {"revision": seen}, values):
        raise _stale(webhook)


def delete_webhook(session: Session, actor: Actor, webhook: Webhook, *, now: datetime) -> None:
    """Delete the webhook and its deliveries."""
    webhook_id, app_id, url = webhook.id, webhook.app_id, webhook.url
    session.execute(select(Webhook.id).where(Webhook.id == webhook_id).with_for_update())
    session.execute(delete_from(Delivery).where(Delivery.webhook_id == webhook_id), execution_options=_QUIET)
    session.execute(delete_from(Webhook).where(Webhook.id == webhook_id), execution_options=_QUIET)
    session.expire_all()
    audit.record(
        session,
        actor,
        "webhook.deleted",
        ("webhook", webhook_id),
        now=now,
        app_id=app_id,
        before={"url": without_path(url)},
    )


def test_webhook(session: Session, actor: Actor, webhook: Webhook, *, now: datetime) -> Delivery:
    """Send a test alert to a webhook. Raises `Conflict` if it is switched off."""
    deliveries.demand_enabled(webhook)
    sentence = f"{webhook.app.name}: this is a test by {actor.label}. Nothing has happened."
    text = outbox.AlertText(sentence, {}, "alerts")
    delivery = outbox.put(
        session, webhook.app, AlertKind.TEST, text, actor=actor.label, now=now, webhook_id=webhook.id
    )
    session.flush()
    return delivery


def get_webhook(session: Session, webhook_id: int, *, app: App | None = None) -> Webhook:
    """Return the webhook with this id. Raises `NotFound`, also if it belongs to another app than ``app``."""
    webhook = session.get(Webhook, webhook_id) if webhook_id <= MAX_ID else None
    if webhook is None or (app is not None and webhook.app_id != app.id):
        raise NotFound("unknown_webhook", f"There is no webhook with the id {webhook_id}.")
    return webhook


def webhooks_of(session: Session, app: App) -> Sequence[Webhook]:
    """Return the app's webhooks, the oldest first."""
    query = select(Webhook).where(Webhook.app_id == app.id).options(joinedload(Webhook.app))
    return session.scalars(query.order_by(Webhook.id)).all()


def add_recipient(
    session: Session,
    actor: Actor,
    app: App,
    *,
    email: str,
    events: Iterable[str] | None = None,
    now: datetime,
) -> AlertRecipient:
    """Add a recipient of e-mail. Raises `Invalid`, and `Conflict` if the address is a recipient already."""
    chosen, email, app_id, name = alert_kinds(events), email_address(email), app.id, app.name
    there = recipients_of(session, app)
    if any(each.email.casefold() == email.casefold() for each in there):
        raise _taken(email)
    if len(there) >= MAX_RECIPIENTS:
        raise Invalid(
            "too_many_recipients",
            f"{name} has {MAX_RECIPIENTS} recipients, which is the most. A mailing list is one.",
        )
    recipient = AlertRecipient(
        app_id=app_id, email=email, events=chosen, created_at=now, created_by=actor.label
    )
    try:
        with session.begin_nested():
            session.add(recipient)
    except IntegrityError:
        raise _taken(email) from None
    after = {"domain": domain_of(email), "events": chosen}
    audit.record(
        session, actor, "recipient.added", ("recipient", recipient.id), now=now, app_id=app_id, after=after
    )
    return recipient


def remove_recipient(session: Session, actor: Actor, recipient: AlertRecipient, *, now: datetime) -> None:
    """Remove a recipient and its deliveries, also those that wait."""
    recipient_id, app_id, email = recipient.id, recipient.app_id, recipient.email
    session.execute(select(AlertRecipient.id).where(AlertRecipient.id == recipient_id).with_for_update())
    session.execute(
        delete_from(Delivery).where(Delivery.recipient_id == recipient_id), execution_options=_QUIET
    )
    session.execute(
        delete_from(AlertRecipient).where(AlertRecipient.id == recipient_id), execution_options=_QUIET
    )
    session.expire_all()
    audit.record(
        session,
        actor,
        "recipient.removed",
        ("recipient", recipient_id),
        now=now,
        app_id=app_id,
        before={"domain": domain_of(email)},
    )


def get_recipient(session: Session, recipient_id: int, *, app: App | None = None) -> AlertRecipient:
    """Return the recipient with this id.

    Raises `NotFound`, also if it belongs to another app than ``app``.
    """
    recipient = session.get(AlertRecipient, recipient_id) if recipient_id <= MAX_ID else None
    if recipient is None or (app is not None and recipient.app_id != app.id):
        raise NotFound("unknown_recipient", f"There is no recipient with the id {recipient_id}.")
    return recipient


def recipients_of(session: Session, app: App) -> Sequence[AlertRecipient]:
    """Return the app's recipients of e-mail, ordered by address."""
    return session.scalars(
        select(AlertRecipient).where(AlertRecipient.app_id == app.id).order_by(AlertRecipient.email)
    ).all()


def _new_secret() -> str:
    """Return a new shared secret of 256 bits."""
    return f"whsec_{secrets.token_urlsafe(32)}"


def _for_history(values: dict[str, Any]) -> dict[str, Any]:
    return {name: without_path(value) if name == "url" else value for name, value in values.items()}


def _stale(webhook: Webhook) -> Conflict:
    current = {
        "id": webhook.id,
        "url": webhook.url,
        "events": webhook.events,
        "is_enabled": webhook.is_enabled,
    }
    return Stale(
        "Somebody changed this webhook meanwhile. Look at it, then decide again.",
        current={**current, "revision": webhook.revision},
    )


def _taken(email: str) -> Conflict:
    return Conflict("recipient_taken", f"{email} gets e-mail about this app already.", field="email")
