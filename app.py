"""The web application, and the program that runs everything on one machine: ``python app.py``."""

from __future__ import annotations

import gc
import os
import sys

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from ota import bootstrap, cli, db, logs, web
from ota.config import ROOT, Settings, SettingsError, from_environment
from ota.machine import affinity, queue, supervisor
from ota.parts import add_part, part
from ota.storage import ArtifactStore
from ota.storage.incoming import Incoming
from ota.storage.local import LocalStore


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI application. Without ``settings`` they are read from the environment."""
    if settings is None:
        logs.set_up()
        settings = from_environment()
    settings.prepare_folders()
    settings = settings.with_secret_key()
    app = Flask(__name__, template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static"))
    app.config.update(SECRET_KEY=settings.secret_key, OTA_LEASE_SECONDS=settings.lease_seconds)
    add_part(app, Settings, settings)
    add_part(app, ArtifactStore, LocalStore(settings.storage_path / "artifacts"))
    add_part(app, Incoming, Incoming(settings.incoming_path))
    db.init_app(app, settings)
    queue.init_app(app, settings).set_default()
    web.init_app(app, settings)
    cli.init_app(app)
    from ota import tasks  # noqa: F401  Registers the tasks with the Celery application made above.

    return app


def serve() -> Flask:
    """Return the WSGI application for a web process that keeps running."""
    app = create_app()
    settings = part(Settings, app)
    if settings.web_affinity:
        affinity.stay_on_one_core(settings.data_path / "tmp")
    # These objects stay: a garbage collection that scans them again would delay every check by about 30 ms.
    gc.freeze()
    return app


def main() -> int:
    """Serve until SIGTERM or SIGINT. Return the exit status."""
    logs.set_up()
    try:
        settings = from_environment()
        settings.prepare_folders()
        lock = supervisor.lock_data_folder(settings.data_path)
        address = supervisor.free_address(settings)
        app = create_app(settings)
        first = bootstrap.prepare(app, settings)
    except (SettingsError, supervisor.NotStartable, OSError, SQLAlchemyError) as error:
        print(f"Not started. {error}", file=sys.stderr)
        return 2
    part(Incoming, app).discard_parts()  # No upload is being received yet: these were cut off.
    cli.print_welcome(settings, first)
    environ = {**os.environ, "TMPDIR": str(settings.data_path / "tmp"), "PYTHONUNBUFFERED": "1"}
    supervisor.Supervisor(supervisor.children(settings, address), environ).run()
    os.close(lock)
    return 0


if __name__ == "__main__":
    sys.exit(main())
