"""Logging: one line per event on standard error, in the same format from every process."""

from __future__ import annotations

import logging

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def set_up() -> None:
    """Configure logging for this process.

    Existing configuration is replaced, because a library that is imported sets debugging up at import.
    """
    logging.basicConfig(level=logging.INFO, format=_FORMAT, force=True)
    for chatty in ("alembic", "kombu", "celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
