"""The row is the truth: whatever is killed, lost or sent twice, an upload becomes ready exactly once."""

from __future__ import annotations

import sqlite3
from typing import Any

from flask import Flask

from app import create_app
from ota.config import Settings
from ota.machine import queue
from tests.builders.packages import apk
from tests.conftest import Api, make_cast, settings_for
from tests.machine.conftest import LEASE, Worker, until
from tests.servers import RedisServer


def state(api: Api, upload_id: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/api/uploads/{upload_id}").json["upload"]
    return found


def send(api: Api, **build: Any) -> str:
    found: str = api.send(apk(**build)).json["upload"]["id"]
    return found


def rows(settings: Settings, query: str) -> list[Any]:
    with sqlite3.connect(settings.data_path / "ota.db") as connection:
        return connection.execute(query).fetchall()


def assert_ready_once(api: Api, settings: Settings, upload_id: str) -> None:
    until(lambda: state(api, upload_id)["status"] == "ready")
    assert rows(settings, "SELECT count(*) FROM app_versions") == [(1,)]
    assert rows(settings, "SELECT count(*) FROM audit_events WHERE action = 'upload.ready'") == [(1,)]
    until(lambda: not any(settings.incoming_path.iterdir()))


def test_an_upload_is_processed_by_the_worker(
    queue_api: Api, queue_settings: Settings, worker: Worker
) -> None:
    worker.start("worker")
    assert_ready_once(queue_api, queue_settings, send(queue_api))
    assert rows(queue_settings, "SELECT attempts FROM uploads") == [(1,)]


def test_a_worker_killed_in_the_middle_loses_nothing(
    queue_api: Api, queue_settings: Settings, worker: Worker
) -> None:
    worker.gate.touch()
    worker.start("worker")
    upload_id = send(queue_api)
    until(worker.has_begun)
    assert state(queue_api, upload_id)["stage"] == "reading"
    worker.kill_everything()
    worker.gate.unlink()
    assert state(queue_api, upload_id)["status"] == "processing"
    worker.start("worker", "beat")
    assert_ready_once(queue_api, queue_settings, upload_id)
    assert rows(queue_settings, "SELECT attempts FROM uploads") == [(2,)]


def test_a_killed_pool_process_is_replaced_and_its_upload_goes_on(
    queue_api: Api, queue_settings: Settings, worker: Worker
) -> None:
    worker.gate.touch()
    worker.start("worker", "beat")
    upload_id = send(queue_api)
    until(worker.has_begun)
    worker.kill_child()
    worker.gate.unlink()
    assert_ready_once(queue_api, queue_settings, upload_id)


def test_a_file_that_kills_every_worker_is_given_up(
    queue_api: Api, queue_settings: Settings, worker: Worker
) -> None:
    worker.gate.touch()
    worker.start("worker", "beat")
    upload_id = send(queue_api)
    for _ in range(3):
        until(worker.has_begun)
        worker.kill_child()
    until(lambda: state(queue_api, upload_id)["status"] == "rejected")
    assert state(queue_api, upload_id)["reason_code"] == "processing_died"
    worker.gate.unlink()
    assert_ready_once(queue_api, queue_settings, send(queue_api, code=2))


def test_a_doubled_message_makes_one_version(
    queue_app: Flask, queue_api: Api, queue_settings: Settings, worker: Worker
) -> None:
    upload_id = send(queue_api)
    for _ in range(5):
        queue.enqueue(queue_app, queue.PROCESS_UPLOAD, upload_id)
    worker.start("worker")
    assert_ready_once(queue_api, queue_settings, upload_id)


def test_a_lost_message_is_sent_again_after_the_lease(
    queue_app: Flask, queue_api: Api, queue_settings: Settings, worker: Worker
) -> None:
    upload_id = send(queue_api)
    queue_app.extensions["celery"].control.purge()
    worker.start("worker", "beat")
    assert_ready_once(queue_api, queue_settings, upload_id)


def test_a_message_for_an_unknown_upload_harms_nobody(
    queue_app: Flask, queue_api: Api, queue_settings: Settings, worker: Worker
) -> None:
    queue.enqueue(queue_app, queue.PROCESS_UPLOAD, "0" * 32)
    worker.start("worker")
    assert_ready_once(queue_api, queue_settings, send(queue_api))


def test_a_damaged_message_stops_no_worker(queue_api: Api, queue_settings: Settings, worker: Worker) -> None:
    if queue_settings.redis_url:
        return
    worker.start("worker", "beat")
    for name, content in (
        ("0_empty.ota.msg", b""),
        ("0_cut.ota.msg", b'{"body": "W1'),
        ("0_odd.ota.msg", b"\xff\xfe"),
    ):
        (queue_settings.queue_path / "messages" / name).write_bytes(content)
    assert_ready_once(queue_api, queue_settings, send(queue_api))
    until(lambda: not any((queue_settings.queue_path / "messages").iterdir()))
    assert "Unrecoverable" not in worker.log()


def test_many_uploads_on_two_workers_are_each_processed_once(
    queue_api: Api, queue_settings: Settings, worker: Worker
) -> None:
    worker.start("worker", "worker")
    sent = [send(queue_api, code=code) for code in range(1, 31)]
    until(lambda: all(state(queue_api, upload_id)["status"] == "ready" for upload_id in sent), 60)
    assert rows(queue_settings, "SELECT count(*), count(DISTINCT version_code) FROM app_versions") == [
        (30, 30)
    ]
    assert rows(queue_settings, "SELECT max(attempts) FROM uploads") == [(1,)]


def test_uploads_are_taken_while_redis_is_down_and_processed_when_it_is_back(
    tmp_path: Any, redis_server: RedisServer
) -> None:
    settings = settings_for(tmp_path / "data", redis_url=redis_server.url, lease_seconds=LEASE)
    app = create_app(settings)
    make_cast(app, settings)
    api, worker = Api(app), Worker(settings, tmp_path)
    try:
        worker.start("worker", "beat")
        redis_server.stop()
        answer = api.send(apk())
        assert answer.status_code == 202
        health = api.client.get("/api/system/health")
        assert (health.status_code, health.json["components"]["queue"]["state"]) == (200, "down")
        redis_server.start()
        assert_ready_once(api, settings, answer.json["upload"]["id"])
    finally:
        worker.kill_everything()
        print(worker.log())


def test_an_unwritable_queue_folder_does_not_lose_an_upload(
    queue_api: Api, queue_settings: Settings, worker: Worker
) -> None:
    if queue_settings.redis_url:
        return
    messages = queue_settings.queue_path / "messages"
    messages.rename(messages.with_name("away"))
    upload_id = send(queue_api)
    messages.with_name("away").rename(messages)
    worker.start("worker", "beat")
    assert_ready_once(queue_api, queue_settings, upload_id)
