"""Sending alerts: ``python -m ota.programs.send_alerts`` goes on until it is told to stop.

A process of its own, so that nothing else ever waits for a stranger who does not answer. One is enough; several share the work.
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
    os._exit(
        0
    )  # Who is still waited for by now has had the time that there is: their deliveries are tried again.


if __name__ == "__main__":
    main()
