"""Celery: one application, two brokers. A message is only a hint; the rows decide what has to be done."""

from __future__ import annotations

import logging
from typing import Any

from celery import Celery, Task
from celery.signals import worker_process_init
from flask import Flask

from ota.config import Settings
from ota.db import db
from ota.machine import file_transport  # noqa: F401  Registers the scheme of the default broker URL.

log = logging.getLogger(__name__)

SOFT_TIME_LIMIT = 540
HARD_TIME_LIMIT = 600
# Redis delivers a message again after this time without acknowledgment. Longer than the longest task.
_VISIBILITY_TIMEOUT = HARD_TIME_LIMIT + 60
_DAY = 86_400.0

PROCESS_UPLOAD = "ota.process_upload"


def init_app(app: Flask, settings: Settings) -> Celery:
    """Create the Celery application that runs tasks inside this Flask application."""

    class FlaskTask(Task):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery = Celery("ota", task_cls=FlaskTask, set_as_current=False)
    celery.conf.update(_configuration(settings))
    celery.flask_app = app
    app.extensions["celery"] = celery

    def forget_connections(**_: Any) -> None:
        # A forked child must not use its parent's database connections.
        with app.app_context():
            db.engine.dispose(close=False)

    worker_process_init.connect(forget_connections, weak=False)
    return celery


def enqueue(app: Flask, task: str, *args: Any) -> bool:
    """Send a message, after the commit.

    Return False if the broker is down: the periodic task sends it again.
    """
    celery: Celery = app.extensions["celery"]
    try:
        celery.send_task(task, args=args, retry=False)
    except Exception as error:  # Each transport has its own errors; none of them fails the caller.
        log.warning("%s%r was not sent; the periodic task sends it again: %s", task, args, error)
        return False
    return True


def check_broker(app: Flask) -> None:
    """Connect to the broker. Raises its own error if it cannot be reached."""
    celery: Celery = app.extensions["celery"]
    with celery.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
        connection.default_channel.client.ping() if connection.transport.driver_type == "redis" else None


def _configuration(settings: Settings) -> dict[str, Any]:
    return {
        "broker_url": settings.broker_url,
        "broker_transport_options": _redis_options() if settings.redis_url else _file_options(settings),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_default_queue": "ota",
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_soft_time_limit": SOFT_TIME_LIMIT,
        "task_time_limit": HARD_TIME_LIMIT,
        "worker_prefetch_multiplier": 1,
        "worker_concurrency": settings.worker_processes,
        "worker_max_tasks_per_child": 200,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "timezone": "UTC",
        "beat_schedule_filename": str(settings.data_path / "beat-schedule"),
        "beat_max_loop_interval": 5,
        "beat_schedule": _schedule(settings),
    }


def _schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the periodic tasks, in the order of Celery's configuration."""
    return {
        "resend-stalled": _every(settings.resend_interval, "ota.resend_stalled", expires=30),
        "advance-plans": _every(15.0, "ota.advance_plans", expires=60),
        "evaluate-health": _every(60.0, "ota.evaluate_health", expires=60),
        "warn-expiring": _every(_DAY, "ota.warn_expiring", expires=3600),
        "forget-deliveries": _every(_DAY, "ota.forget_deliveries", expires=3600),
        "heartbeat": _every(20.0, "ota.heartbeat", expires=60),
        "forget-devices": _every(_DAY, "ota.forget_devices", expires=3600),
        "roll-up": _every(300.0, "ota.roll_up", expires=300),
        "prune-telemetry": _every(3600.0, "ota.prune_telemetry", expires=600),
        "sweep-incoming": _every(3600.0, "ota.sweep_incoming", expires=600),
    }


def _every(seconds: float, task: str, *, expires: int) -> dict[str, Any]:
    """Return a schedule entry. A message that waited longer than ``expires`` seconds is dropped."""
    return {"task": task, "schedule": seconds, "options": {"expires": expires}}


def _redis_options() -> dict[str, Any]:
    # Every interval x throttle seconds (100 by default) kombu redelivers unacknowledged messages that are
    # older than the visibility timeout (an hour by default), so all three have to be set.
    return {
        "visibility_timeout": _VISIBILITY_TIMEOUT,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 2,
        "socket_timeout": 30,
        "socket_keepalive": True,
        # Give up at once if the broker is down: the upload is stored and its message is sent again later.
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.2,
    }


def _file_options(settings: Settings) -> dict[str, Any]:
    messages = str(settings.queue_path / "messages")
    return {
        "data_folder_in": messages,
        "data_folder_out": messages,
        "control_folder": str(settings.queue_path / "control"),
        "polling_interval": 0.2,
    }
