"""Release health in tests: devices of a release, and one evaluation of its tests."""

from __future__ import annotations

from datetime import datetime

from ota.db import reader, transaction
from ota.models import ReleaseHealth
from ota.releases import watch


def evaluate(release_id: int, now: datetime) -> ReleaseHealth:
    """Evaluate the tests of a release and act on them; return the stored findings.

    Needs an application context.
    """
    with transaction() as session:
        watch.evaluate(session, release_id, now=now)
    reader().rollback()
    return reader().get_one(ReleaseHealth, release_id)
