"""Who is told what: webhooks and recipients of e-mail, chosen by administrators."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete as delete_from
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from ota.alerts import deliveries
from ota.core.addresses import is_inside
from ota.core.alerts import CHOSEN, AlertKind
from ota.db import MAX_ID, compare_and_set
from ota.errors import Conflict, Invalid, NotFound, Stale
from ota.history import audit, outbox
from ota.history.audit import Actor
from ota.models import AlertRecipient, App, Delivery, Webhook

MAX_WEBHOOKS = 20
MAX_RECIPIENTS = 50
MAX_URL = 500

_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,187}[A-Za-z0-9])?", re.ASCII
)
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
    """A new webhook; its ``secret`` is for the receiver. Without ``events`` it gets them all.

    ``allows_private``: this installation sends to addresses inside its own network. Raises `Invalid`.
    """
    url, chosen = checked_url(url, allows_private=allows_private), checked_events(events)
    if (
        session.scalar(select(func.count()).select_from(Webhook).where(Webhook.app_id == app.id)) or 0
    ) >= MAX_WEBHOOKS:
        raise Invalid(
            "too_many_webhooks",
            f"{app.name} has {MAX_WEBHOOKS} webhooks, which is the most. Delete one first.",
        )
    webhook = Webhook(
        app_id=app.id,
        url=url,
        secret=new_secret(),
        events=chosen,
        is_enabled=True,
        created_at=now,
        created_by=actor.label,
        revision=1,
    )
    session.add(webhook)
    session.flush()
    after = {"url": shown(url), "events": chosen}
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
    """Change what is given. What waits for a webhook that is switched off is given up, and can be sent again later.

    Raises `Invalid`, and `Conflict` for a stale ``revision``.
    """
    webhook_id, app_id = webhook.id, webhook.app_id
    wanted: dict[str, Any] = {}
    if url is not None:
        wanted["url"] = checked_url(url, allows_private=allows_private)
    if events is not None:
        wanted["events"] = checked_events(events)
    if is_enabled is not None:
        wanted["is_enabled"] = is_enabled
    before = {name: getattr(webhook, name) for name in wanted}
    changed = [name for name in wanted if before[name] != wanted[name]]
    seen = webhook.revision if revision is None else revision
    if not changed and not rotates_secret:
        if seen != webhook.revision:
            raise _stale(webhook)
        return webhook
    secret = {"secret": new_secret()} if rotates_secret else {}
    if not compare_and_set(
        session, Webhook, {"id": webhook_id}, {"revision": seen}, {**wanted, **secret, "revision": seen + 1}
    ):
        raise _stale(webhook)
    if is_enabled is False:
        deliveries.give_up_all(session, webhook_id, deliveries.OFF)
    was, becomes = _plain(before), _plain(wanted)
    after = {**{name: becomes[name] for name in changed}, **({"secret": "renewed"} if rotates_secret else {})}
    audit.record(
        session,
        actor,
        "webhook.edited",
        ("webhook", webhook_id),
        now=now,
        app_id=app_id,
        before={name: was[name] for name in changed},
        after=after,
    )
    return webhook


def delete_webhook(session: Session, actor: Actor, webhook: Webhook, *, now: datetime) -> None:
    """Forget the webhook and what was sent to it."""
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
        before={"url": shown(url)},
    )


def test_webhook(session: Session, actor: Actor, webhook: Webhook, *, now: datetime) -> Delivery:
    """Send a webhook something to try it out. Raises `Conflict` when it is switched off."""
    deliveries.demand_enabled(webhook)
    told = outbox.Told(
        f"{webhook.app.name}: this is a test by {actor.label}. Nothing has happened.", {}, "alerts"
    )
    delivery = outbox.put(
        session, webhook.app, AlertKind.TEST, told, actor=actor.label, now=now, webhook_id=webhook.id
    )
    session.flush()
    return delivery


def get_webhook(session: Session, webhook_id: int, *, app: App | None = None) -> Webhook:
    """Raises `NotFound`, also for a webhook of another app than the given one."""
    webhook = session.get(Webhook, webhook_id) if webhook_id <= MAX_ID else None
    if webhook is None or (app is not None and webhook.app_id != app.id):
        raise NotFound("unknown_webhook", f"There is no webhook with the id {webhook_id}.")
    return webhook


def webhooks_of(session: Session, app: App) -> Sequence[Webhook]:
    """The app's webhooks, the oldest first."""
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
    """Somebody who gets e-mail from now on. Raises `Invalid`, and `Conflict` for an address that has it already."""
    email, chosen, app_id, name = email.strip(), checked_events(events), app.id, app.name
    domain = _domain(email).lower()
    if not _EMAIL.fullmatch(email) or ".." in domain or ("." not in domain and domain != "localhost"):
        raise Invalid.about("email", "bad_email", "expected an e-mail address such as team@example.com.")
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
    after = {"domain": _domain(email), "events": chosen}
    audit.record(
        session, actor, "recipient.added", ("recipient", recipient.id), now=now, app_id=app_id, after=after
    )
    return recipient


def remove_recipient(session: Session, actor: Actor, recipient: AlertRecipient, *, now: datetime) -> None:
    """No more e-mail to this address, also none that waits."""
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
        before={"domain": _domain(email)},
    )


def get_recipient(session: Session, recipient_id: int, *, app: App | None = None) -> AlertRecipient:
    """Raises `NotFound`, also for a recipient of another app than the given one."""
    recipient = session.get(AlertRecipient, recipient_id) if recipient_id <= MAX_ID else None
    if recipient is None or (app is not None and recipient.app_id != app.id):
        raise NotFound("unknown_recipient", f"There is no recipient with the id {recipient_id}.")
    return recipient


def recipients_of(session: Session, app: App) -> Sequence[AlertRecipient]:
    """Who gets e-mail about the app, by address."""
    return session.scalars(
        select(AlertRecipient).where(AlertRecipient.app_id == app.id).order_by(AlertRecipient.email)
    ).all()


def new_secret() -> str:
    """256 bits that both sides know."""
    return f"whsec_{secrets.token_urlsafe(32)}"


def shown(url: str) -> str:
    """A webhook's address for the history, which everybody reads: scheme and host. Many receivers keep a key in the rest."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def checked_events(events: Iterable[str] | None) -> list[str]:
    """The kinds in their usual order; all of them without a choice. Raises `Invalid`."""
    if events is None:
        return [kind.value for kind in CHOSEN]
    wanted = set(events)
    unknown = sorted(wanted - {kind.value for kind in CHOSEN})
    if unknown or not wanted:
        known = ", ".join(kind.value for kind in CHOSEN)
        problem = f"'{unknown[0][:40]}' is no event" if unknown else "choose at least one event"
        raise Invalid.about("events", "bad_events", f"{problem}. Expected some of: {known}.")
    return [kind.value for kind in CHOSEN if kind in wanted]


def checked_url(url: str, *, allows_private: bool) -> str:
    """The address as it is used. Raises `Invalid`. What its name leads to is looked at whenever something is sent."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        host = None
    is_plain = (
        len(url) <= MAX_URL and url.isascii() and url.isprintable() and not set(url) & set(' "<>\\^`{|}')
    )
    if not host or not is_plain or parts.scheme not in {"http", "https"} or parts.fragment:
        raise Invalid.about(
            "url",
            "bad_webhook_url",
            f"expected an address such as https://hooks.example.com/updates, at most {MAX_URL} plain characters.",
        )
    if parts.username is not None or parts.password is not None:
        raise Invalid.about(
            "url",
            "password_in_url",
            "leave out name and password. The signature shows the receiver who is sending.",
        )
    if not allows_private and is_inside(host):
        raise Invalid.about(
            "url",
            "private_address",
            f"{host} is inside this server's own network, where webhooks are not sent. Expected a public address; "
            "OTA_WEBHOOK_PRIVATE=true lets an installation send to private ones.",
        )
    return url


def _domain(email: str) -> str:
    return email.rpartition("@")[2]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, **({"url": shown(values["url"])} if "url" in values else {})}


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
