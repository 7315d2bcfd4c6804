"""The outbox: the deliveries of an act's alerts, written in the transaction of the act itself.

`ota.core.alerts.OF_ACTION` names the acts that are alerts. `ota.alerts.sender` sends the deliveries.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.core.alerts import OF_ACTION, AlertKind, DeliveryState
from ota.core.rollout import FULL
from ota.models import AlertRecipient, App, AuditEvent, Delivery, Release, Upload, Version, Webhook


@dataclass(frozen=True, slots=True)
class AlertText:
    """Content of an alert: a sentence for people and facts for programs.

    ``page`` is a path below the app's address.
    """

    message: str
    facts: dict[str, Any]
    page: str


def announce(session: Session, event: AuditEvent) -> None:
    """Put a delivery into the outbox for each receiver of the app that chose acts of this kind."""
    kind = OF_ACTION.get(event.action)
    if kind is None or event.app_id is None:
        return
    webhooks, recipients = _receivers(session, event.app_id, kind)
    if not webhooks and not recipients:
        return
    app = session.get_one(App, event.app_id)
    text = _TEXTS[event.subject_type](session, app, kind, event)
    for webhook in webhooks:
        put(session, app, kind, text, actor=event.actor, now=event.at, webhook_id=webhook.id)
    for recipient in recipients:
        put(session, app, kind, text, actor=event.actor, now=event.at, recipient_id=recipient.id)


def put(
    session: Session,
    app: App,
    kind: AlertKind,
    text: AlertText,
    *,
    actor: str,
    now: datetime,
    webhook_id: int | None = None,
    recipient_id: int | None = None,
) -> Delivery:
    """Put one delivery into the outbox, due at once. The sender looks for it every half second."""
    payload = {
        "event": kind.value,
        "at": now.isoformat(),
        "app": {"slug": app.slug, "name": app.name},
        "actor": actor,
        "message": text.message,
        "path": f"/apps/{app.slug}/{text.page}",
        "facts": text.facts,
    }
    delivery = Delivery(
        key=secrets.token_hex(16),
        app_id=app.id,
        webhook_id=webhook_id,
        recipient_id=recipient_id,
        event=kind.value,
        payload=payload,
        state=DeliveryState.PENDING,
        attempts=0,
        next_try_at=now,
        created_at=now,
    )
    session.add(delivery)
    return delivery


def _receivers(
    session: Session, app_id: int, kind: AlertKind
) -> tuple[Sequence[Webhook], Sequence[AlertRecipient]]:
    # Locked until the commit: a receiver deleted meanwhile would make the act fail with its delivery.
    held: dict[str, Any] = {"read": True, "key_share": True}
    webhooks = session.scalars(
        select(Webhook)
        .where(Webhook.app_id == app_id, Webhook.is_enabled)
        .order_by(Webhook.id)
        .with_for_update(**held)
    )
    recipients = session.scalars(
        select(AlertRecipient)
        .where(AlertRecipient.app_id == app_id)
        .order_by(AlertRecipient.id)
        .with_for_update(**held)
    )
    chosen = [webhook for webhook in webhooks if kind in webhook.events]
    return chosen, [recipient for recipient in recipients if kind in recipient.events]


def _upload_text(session: Session, app: App, kind: AlertKind, event: AuditEvent) -> AlertText:
    upload = session.get_one(Upload, event.subject_id)
    facts: dict[str, Any] = {"upload_id": upload.id, "file_name": upload.file_name}
    if kind is AlertKind.UPLOAD_REJECTED:
        facts |= {"reason_code": upload.reason_code, "reason": upload.reason}
        return AlertText(
            f"{app.name}: the upload {upload.file_name} was rejected. {upload.reason}",
            facts,
            f"uploads/{upload.id}",
        )
    version = session.get_one(Version, (event.after or {})["version_id"])
    facts |= _version_facts(version)
    again = ", which was there before" if upload.is_repeat else ""
    message = f"{app.name}: {upload.file_name} is ready. It became version {_named(version)}{again}."
    return AlertText(message, facts, f"versions/{version.id}")


def _release_text(session: Session, app: App, kind: AlertKind, event: AuditEvent) -> AlertText:
    release = session.get_one(Release, int(event.subject_id))
    version, channel = release.version, release.channel.name
    reason = (event.after or {}).get("reason") or release.reason
    facts = {
        **_version_facts(version),
        "release_id": release.id,
        "channel": channel,
        "state": str(release.state),
        "rollout": release.rollout,
        "starts_at": release.starts_at.isoformat(),
        "reason": reason,
    }
    return AlertText(
        f"{app.name}: {_release_sentence(kind, event, release, reason)}", facts, f"releases/{release.id}"
    )


def _release_sentence(kind: AlertKind, event: AuditEvent, release: Release, reason: str | None) -> str:
    channel = release.channel.name
    named, share = f"{_named(release.version)} on {channel}", f"{release.rollout / 100:g} % of the devices"
    if kind is AlertKind.PUBLISHED:
        to = "everybody" if release.rollout == FULL else share
        when = f", from {release.starts_at:%Y-%m-%d %H:%M} UTC on" if release.starts_at > event.at else ""
        return f"{event.actor} published {named} to {to}{when}."
    if kind is AlertKind.PLAN_STEP:
        return f"the plan of {named} took its next step and is open to {share}."
    if kind is AlertKind.FOUND_BAD:
        return f"{named} looks bad. {reason}"
    if kind is AlertKind.WITHDRAWN:
        named = f"{_named(release.version)} from {channel}"
    return f"{event.actor} {_VERBS[kind]} {named}." + (f" {reason}" if reason else "")


def _expiring_profile_text(session: Session, app: App, kind: AlertKind, event: AuditEvent) -> AlertText:
    version, after = session.get_one(Version, int(event.subject_id)), event.after or {}
    names: list[str] = after["versions"]
    facts = {
        **_version_facts(version),
        "versions": names,
        "expires_at": after["expires_at"],
        "within_days": after["within_days"],
    }
    ends, plural = datetime.fromisoformat(after["expires_at"]), len(names) > 1
    verb = "expired" if ends <= event.at else "expires"
    named = f"{', '.join(names[:-1])} and {names[-1]}" if plural else names[0]
    return AlertText(
        f"{app.name}: the provisioning profile of {named} {verb} on {ends:%Y-%m-%d}. From then on phones "
        f"neither install nor open {'them' if plural else 'it'}: build with a new profile and publish that.",
        facts,
        f"versions/{version.id}",
    )


def _switch_text(session: Session, app: App, kind: AlertKind, event: AuditEvent) -> AlertText:
    channel = (event.after or {}).get("name") if event.subject_type == "channel" else None
    what = f"the channel {channel}" if channel else "the app"
    if kind is AlertKind.SHUT_OFF:
        act = f"shut {what} off. Its devices are offered nothing until it is turned on again."
    else:
        act = f"turned {what} on again."
    return AlertText(f"{app.name}: {event.actor} {act}", {"channel": channel}, "channels")


def _named(version: Version) -> str:
    return f"{version.version} (+{version.version_code})"


def _version_facts(version: Version) -> dict[str, Any]:
    return {
        "version_id": version.id,
        "version": version.version,
        "version_code": version.version_code,
        "platform": str(version.platform),
    }


_TEXTS = {
    "upload": _upload_text,
    "release": _release_text,
    "version": _expiring_profile_text,
    "app": _switch_text,
    "channel": _switch_text,
}
_VERBS = {
    AlertKind.HALTED: "halted",
    AlertKind.PAUSED: "paused",
    AlertKind.RESUMED: "resumed",
    AlertKind.ROLLED_BACK: "rolled back",
    AlertKind.WITHDRAWN: "withdrew",
}
