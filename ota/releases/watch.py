"""One look at the health of one release: long reading, then a short transaction."""

from __future__ import annotations

import logging

from ota.clock import utcnow
from ota.db import reader, transaction
from ota.errors import Conflict
from ota.health import policy as health_policy

log = logging.getLogger(__name__)


def look_once(release_id: int) -> None:
    """Look, and keep what was found unless somebody changed the release meanwhile: then the next look finds out."""
    with transaction() as session:
        health_policy.note_silence(session, release_id, now=utcnow())
    reader().rollback()
    seen = health_policy.look(reader(), release_id, now=utcnow())
    reader().rollback()
    try:
        with transaction() as session:
            health_policy.conclude(session, seen, now=utcnow())
    except Conflict:
        log.info("release %d was changed while it was looked at: it is looked at again", release_id)
