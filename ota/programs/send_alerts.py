"""Send alerts: ``python -m ota.programs.send_alerts``.

A separate process, so that no other work waits for a receiver that does not answer. One is enough; several
share the work.
"""

from __future__ import annotations

import logging
import os
import signal
import threading

from app import create_app
from ota.alerts.sender import Sender
from ota.config import Settings
from ota.parts import part


def main() -> None:
    """Send until SIGTERM or SIGINT."""
    app = create_app()
    settings = part(Settings, app)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with app.app_context():
        Sender(settings, alive=settings.sender_sign_path.touch).run(stop)
    logging.shutdown()
    # Exit without waiting for receivers that have not answered yet: their deliveries are tried again.
    os._exit(0)


if __name__ == "__main__":
    main()
