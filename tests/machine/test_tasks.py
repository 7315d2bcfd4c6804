"""The periodic tasks, called as the worker calls them."""

from __future__ import annotations

import os
import time
from datetime import timedelta

from flask import Flask

from ota import tasks
from ota.clock import utcnow
from ota.config import Settings
from ota.db import reader, transaction
from ota.machine import heartbeat as machine_heartbeat
from ota.models import Upload
from ota.parts import part
from tests.builders.packages import apk
from tests.conftest import Api


def messages(app: Flask) -> list[str]:
    return [path.name for path in (part(Settings, app).queue_path / "messages").iterdir()]


def test_a_heartbeat_makes_the_worker_known(app: Flask, api: Api) -> None:
    with app.app_context():
        tasks.heartbeat.run()
    health = api.client.get("/api/system/health").json
    assert (health["status"], health["components"]["worker"]["state"]) == ("ok", "up")
    with app.app_context(), transaction() as session:
        machine_heartbeat.beat(session, machine_heartbeat.WORKER, now=utcnow() - timedelta(minutes=5))
    assert api.client.get("/api/system/health").json["components"]["worker"]["state"] == "late"


def test_an_upload_with_an_expired_lease_is_sent_again(app: Flask, api: Api) -> None:
    upload_id = api.send(apk()).json["upload"]["id"]
    before = len(messages(app))
    with app.app_context():
        tasks.resend_stalled.run()
        assert len(messages(app)) == before
        with transaction() as session:
            session.get_one(Upload, upload_id).lease_expires_at = utcnow() - timedelta(seconds=1)
        tasks.resend_stalled.run()
        assert len(messages(app)) == before + 1
        assert part(Settings, app).worker_sign_path.exists()


def test_a_message_that_could_not_be_sent_is_sent_at_the_next_look(app: Flask, api: Api) -> None:
    folder = part(Settings, app).queue_path / "messages"
    folder.rename(folder.with_name("away"))
    upload_id = api.send(apk()).json["upload"]["id"]
    folder.with_name("away").rename(folder)
    with app.app_context():
        tasks.resend_stalled.run()
        assert len(messages(app)) == 1
        tasks.process_upload.run(upload_id)
    assert api.get(f"/api/uploads/{upload_id}").json["upload"]["status"] == "ready"


def test_the_sweep_keeps_what_an_upload_waits_for(app: Flask, api: Api) -> None:
    upload_id = api.send(apk()).json["upload"]["id"]
    folder = part(Settings, app).incoming_path
    (folder / ("0" * 32)).write_bytes(b"orphan")
    for path in folder.iterdir():
        os.utime(path, (time.time() - 90_000, time.time() - 90_000))
    with app.app_context():
        tasks.sweep_incoming.run()
        assert reader().get(Upload, upload_id) is not None
    assert [path.name for path in folder.iterdir()] == [upload_id]
