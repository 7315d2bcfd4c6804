"""Receivers: addresses that are refused, and secrets that stay out of the history."""

from __future__ import annotations

import pytest

from ota.alerts import receivers
from ota.apps import apps
from ota.db import reader, transaction
from ota.errors import Invalid
from ota.history import audit
from ota.history.audit import SYSTEM
from ota.models import Webhook
from tests.alerts.given import hook, write_to
from tests.receivers import Receiver
from tests.releases.given import START

pytestmark = pytest.mark.usefixtures("in_app")


def test_addresses_of_the_own_network_are_refused_by_name(receiver: Receiver) -> None:
    app = apps.find(reader(), None)
    for host in (
        "localhost",
        "a.localhost.",
        "127.0.0.1",
        "10.0.0.8",
        "192.168.1.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[fe80::1]",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "017700000001",
        "10.0x8",
        "[fec0::1]",
        "[3fff::1]",
        "[2002:7f00:1::]",
        "0",
        "LOCALHOST",
    ):
        with pytest.raises(Invalid) as caught, transaction() as session:
            receivers.add_webhook(
                session, SYSTEM, app, url=f"http://{host}/hook", allows_private=False, now=START
            )
        assert (caught.value.code, caught.value.field) == ("private_address", "url"), host


def test_the_history_never_shows_a_secret(receiver: Receiver) -> None:
    webhook_id = hook(receiver.url)
    before = reader().get_one(Webhook, webhook_id).secret
    with transaction() as session:
        webhook = session.get_one(Webhook, webhook_id)
        receivers.edit_webhook(session, SYSTEM, webhook, rotates_secret=True, allows_private=True, now=START)
    after = reader().get_one(Webhook, webhook_id).secret
    events = audit.history(reader(), subjects=[("webhook", webhook_id)])
    assert [event.action for event in events] == ["webhook.edited", "webhook.created"]
    assert before != after
    assert not any(
        word in str((event.before, event.after)) for event in events for word in (before, after, "team=1")
    )


def test_the_history_shows_only_the_public_part_of_addresses() -> None:
    webhook_id, recipient_id = (
        hook("https://hooks.slack.com:8443/services/T0001/SECRET?token=SECRET"),
        write_to("anna.person@example.com"),
    )
    with transaction() as session:
        webhook = session.get_one(Webhook, webhook_id)
        receivers.edit_webhook(
            session,
            SYSTEM,
            webhook,
            url="https://hooks.slack.com/OTHERSECRET",
            allows_private=True,
            now=START,
        )
    with transaction() as session:
        receivers.delete_webhook(session, SYSTEM, session.get_one(Webhook, webhook_id), now=START)
        receivers.remove_recipient(session, SYSTEM, receivers.get_recipient(session, recipient_id), now=START)
    events = audit.history(reader(), subjects=[("webhook", webhook_id), ("recipient", recipient_id)])
    text = str([(event.before, event.after) for event in events])
    assert (len(events), "SECRET" in text, "anna.person" in text) == (5, False, False)
    assert ("https://hooks.slack.com:8443" in text, "'domain': 'example.com'" in text) == (True, True)
