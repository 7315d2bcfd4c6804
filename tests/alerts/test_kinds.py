"""Which acts become alerts, of which kind, with which facts, for which app and page."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from ota.alerts import receivers
from ota.apps import apps, kill_switch
from ota.clock import utcnow
from ota.config import Settings
from ota.core.alerts import OF_ACTION, SELECTABLE
from ota.core.lifecycle import ReleaseState
from ota.core.permissions import Role
from ota.core.plans import PlanStep
from ota.db import transaction
from ota.history.audit import SYSTEM
from ota.models import Release, Webhook
from ota.releases import plans
from tests.alerts.given import deliver_due, hook, kinds, move, sent
from tests.builders.packages import apk
from tests.conftest import EMAILS, Api
from tests.receivers import Receiver
from tests.releases.given import START, begin, make

pytestmark = pytest.mark.usefixtures("in_app")


def test_only_what_was_chosen_is_sent(receiver: Receiver) -> None:
    hook(receiver.url, ["release.halted"])
    release_id = begin(make(3))
    move(release_id, ReleaseState.HALTED, "Crashes.")
    assert kinds() == ["release.halted"]
    assert sent()[0].payload["message"] == "My app: server halted 1.3.0 (+3) on stable. Crashes."


def test_halts_roll_backs_and_plan_steps_become_alerts(receiver: Receiver) -> None:
    hook(receiver.url)
    release_id = begin(make(3), plan=(PlanStep(1000, 60), PlanStep(10000)))
    with transaction() as session:
        plans.advance(session, SYSTEM, session.get_one(Release, release_id), now=START)
    move(release_id, ReleaseState.HALTED)
    move(release_id, ReleaseState.ROLLED_BACK, "It eats batteries.")
    assert kinds() == ["release.published", "release.plan_step", "release.halted", "release.rolled_back"]
    assert [each.payload["message"] for each in sent()][1:4:2] == [
        "My app: the plan of 1.3.0 (+3) on stable took its next step and is open to 100 % of the devices.",
        "My app: server rolled back 1.3.0 (+3) on stable. It eats batteries.",
    ]


def test_uploads_that_are_ready_or_rejected_become_alerts(api: Api, receiver: Receiver) -> None:
    hook(receiver.url)
    api.upload(apk(version="1.0.0", code=1), "good.apk")
    api.upload(apk(package="com.example.other", version="1.0.0", code=2), "other.apk", app="my-app")
    ready, rejected = sent()
    assert (ready.event, ready.payload["facts"]["version_code"]) == ("upload.ready", 1)
    assert ready.payload["facts"]["file_name"] == "good.apk"
    assert "1.0.0 (+1)" in ready.payload["message"]
    assert (rejected.event, rejected.payload["facts"]["reason_code"]) == ("upload.rejected", "other_package")
    assert rejected.payload["message"].startswith("My app: the upload other.apk was rejected. ")


def test_uploads_that_name_no_app_alert_the_app_they_belong_to(api: Api, receiver: Receiver) -> None:
    with transaction() as session:
        apps.create(session, SYSTEM, slug="other", name="Other", now=START)
    api.upload(apk(package="com.example.other", version="1.0.0", code=1), "first.apk", app="other")
    with transaction() as session:
        other = apps.find(session, "other")
        receivers.add_webhook(
            session,
            SYSTEM,
            other,
            url=receiver.url,
            events=["upload.rejected"],
            allows_private=True,
            now=START,
        )
    hook(receiver.url, ["upload.rejected"])
    api.upload(apk(package="com.example.other", version="1.0.1", code=1), "taken.apk")
    api.upload(b"not a build", "junk.apk")
    api.upload(apk(version="1.0.0", code=1, package="com.example.app"), "mine.apk")
    api.upload(apk(version="1.0.0", code=1, package="com.example.stranger"), "stranger.apk")
    alerts = [
        (
            each.payload["app"]["slug"],
            each.payload["facts"]["file_name"],
            each.payload["facts"]["reason_code"],
        )
        for each in sent()
    ]
    assert alerts == [
        ("other", "taken.apk", "version_code_taken"),
        ("my-app", "junk.apk", "not_a_package"),
        ("my-app", "stranger.apk", "unknown_package"),
    ]


def test_pausing_resuming_withdrawing_and_the_kill_switch_become_alerts(receiver: Receiver) -> None:
    hook(receiver.url)
    release_id = begin(make(3))
    for state in (ReleaseState.PAUSED, ReleaseState.ACTIVE, ReleaseState.WITHDRAWN):
        move(release_id, state)
    with transaction() as session:
        app = apps.find(session, None)
        for what in (app, apps.find_channel(app, None)):
            kill_switch.shut_off(session, SYSTEM, what, now=START)
            kill_switch.turn_on(session, SYSTEM, what, now=START)
    assert kinds()[1:] == [
        "release.paused",
        "release.resumed",
        "release.withdrawn",
        *["app.shut_off", "app.turned_on"] * 2,
    ]
    messages = [delivery.payload["message"] for delivery in sent()[1:]]
    acts = [
        "paused 1.3.0 (+3) on stable",
        "resumed 1.3.0 (+3) on stable",
        "withdrew 1.3.0 (+3) from stable",
        "shut the app off",
        "turned the app on",
        "shut the channel stable off",
        "turned the channel stable on",
    ]
    assert [act in message for act, message in zip(acts, messages, strict=True)] == [True] * 7
    assert [each.payload["facts"].get("channel") for each in sent()[4:]] == [None, None, "stable", "stable"]


def test_every_alert_leads_to_a_page_that_is_there(
    api: Api, receiver: Receiver, inside: Settings, sign_in: Callable[..., FlaskClient]
) -> None:
    webhook_id = hook(receiver.url)
    made = api.published(1)
    api.upload(b"junk", "junk.apk")
    with transaction() as session:
        receivers.test_webhook(session, SYSTEM, session.get_one(Webhook, webhook_id), now=START)
        kill_switch.shut_off(session, SYSTEM, apps.find(session, None), now=START)
    deliver_due(inside, clock=lambda: utcnow() + timedelta(seconds=1))
    alerts = {each["event"]: each for each in (json.loads(request.body) for request in receiver.requests)}
    assert (
        alerts["release.published"]["url"]
        == f"https://updates.example.com/apps/my-app/releases/{made['release']['id']}"
    )
    assert (
        alerts["upload.ready"]["url"]
        == f"https://updates.example.com/apps/my-app/versions/{made['version']['id']}"
    )
    assert set(alerts) == {"upload.ready", "release.published", "upload.rejected", "test", "app.shut_off"}
    browser = sign_in(EMAILS[Role.ADMIN])
    for each in alerts.values():
        assert "path" not in each
        assert browser.get(each["url"].removeprefix("https://updates.example.com")).status_code == 200, each[
            "event"
        ]


def test_every_kind_that_can_be_chosen_belongs_to_an_act() -> None:
    assert set(OF_ACTION.values()) == set(SELECTABLE)
