"""Celery: one application, two brokers. A message is only a hint; the rows say what has to be done."""

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
# Redis gives a message back when it was not acknowledged for so long: longer than the longest task.
_VISIBILITY_TIMEOUT = HARD_TIME_LIMIT + 60

PROCESS_UPLOAD = "ota.process_upload"


def init_app(app: Flask, settings: Settings) -> Celery:
    """Make the Celery application that runs tasks inside this Flask application."""

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
    """Send a message, after the commit. False when the broker is down: the periodic task will send it again."""
    celery: Celery = app.extensions["celery"]
    try:
        celery.send_task(task, args=args, retry=False)
    except Exception as error:  # Each transport fails with classes of its own; none may fail the caller.
        log.warning("%s%r was not sent, the periodic task will do it: %s", task, args, error)
        return False
    return True


def check_broker(app: Flask) -> None:
    """Raises what the broker raises when it can't be reached."""
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
        "beat_schedule": {
            "resend-stalled": {
                "task": "ota.resend_stalled",
                "schedule": settings.resend_interval,
                "options": {"expires": 30},
            },
            "advance-plans": {"task": "ota.advance_plans", "schedule": 15.0, "options": {"expires": 60}},
            "evaluate-health": {"task": "ota.evaluate_health", "schedule": 60.0, "options": {"expires": 60}},
            "warn-expiring": {
                "task": "ota.warn_expiring",
                "schedule": 86_400.0,
                "options": {"expires": 3600},
            },
            "forget-deliveries": {
                "task": "ota.forget_deliveries",
                "schedule": 86_400.0,
                "options": {"expires": 3600},
            },
            "heartbeat": {"task": "ota.heartbeat", "schedule": 20.0, "options": {"expires": 60}},
            "forget-devices": {
                "task": "ota.forget_devices",
                "schedule": 86_400.0,
                "options": {"expires": 3600},
            },
            "roll-up": {"task": "ota.roll_up", "schedule": 300.0, "options": {"expires": 300}},
            "prune-telemetry": {
                "task": "ota.prune_telemetry",
                "schedule": 3600.0,
                "options": {"expires": 600},
            },
            "sweep-incoming": {"task": "ota.sweep_incoming", "schedule": 3600.0, "options": {"expires": 600}},
        },
    }


def _redis_options() -> dict[str, Any]:
    # kombu looks for unacknowledged messages every interval x throttle seconds (100 by default) and gives back those
    # older than the visibility timeout (an hour by default): all three have to be set.
    return {
        "visibility_timeout": _VISIBILITY_TIMEOUT,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": 2,
        "socket_timeout": 30,
        "socket_keepalive": True,
        # Sending to a broker that is down gives up at once: the upload is safe and is sent again later.
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
