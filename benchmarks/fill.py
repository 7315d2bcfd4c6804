"""A database with releases, and a process that publishes: ``python -m benchmarks.fill PER_SECOND [idle]``."""

from __future__ import annotations

import os
import sys
import time
from itertools import count

from flask import Flask

from app import create_app
from ota import bootstrap
from ota.apps import apps
from ota.builds import versions
from ota.builds.versions import VersionDraft
from ota.clock import utcnow
from ota.config import Settings, from_environment
from ota.core.lifecycle import ReleaseState
from ota.core.platforms import Platform
from ota.db import transaction
from ota.history.audit import SYSTEM
from ota.models import Release, Version
from ota.releases import acts as release_acts
from ota.releases import edits as release_edits
from ota.releases import rows as release_rows


def add(code: int, *, rollout: int = 10_000) -> int:
    """Release a version on the default channel. Return the release's id."""
    with transaction() as session:
        draft = VersionDraft(
            platform=Platform.ANDROID,
            version=f"1.{code - 1}.0",
            version_code=code,
            checksum="ab" * 32,
            file_size=25_000_000,
            download_url=f"https://files.example.com/app-{code}.apk",
            release_notes="Bug fixes and improvements",
        )
        made: Version = versions.add(
            session, SYSTEM, apps.find(session, None), draft, artifact=None, now=utcnow()
        )
        return release_acts.start(session, SYSTEM, made, rollout=rollout, now=utcnow()).id


def fill(settings: Settings) -> Flask:
    """Migrate, and create an app with five releases. The newest is open to a tenth of all devices."""
    app = create_app(settings)
    bootstrap.prepare(app, settings)
    with app.app_context():
        for code in range(1, 5):
            add(code)
        add(5, rollout=1_000)
    return app


def publish(per_second: float) -> None:
    """Start, widen and roll back releases, ``per_second`` acts a second, until this process is ended."""
    app = create_app(from_environment())
    with app.app_context():
        code = int(time.time() * 100)  # Above all codes that were published before.
        beginning = time.monotonic()
        for number in count():
            if number % 3 == 0:
                code += 1
                release_id = add(code, rollout=500)
            else:
                with transaction() as session:
                    release: Release = release_rows.get(session, release_id)
                    if number % 3 == 1:
                        release_edits.set_rollout(session, SYSTEM, release, 2_500, now=utcnow())
                    else:
                        release_acts.change_state(
                            session, SYSTEM, release, ReleaseState.ROLLED_BACK, now=utcnow()
                        )
            time.sleep(max(0.0, beginning + (number + 1) / per_second - time.monotonic()))


if __name__ == "__main__":
    if "idle" in sys.argv[2:]:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    publish(float(sys.argv[1]))
