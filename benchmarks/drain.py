"""How fast the journal is counted: ``python -m benchmarks.drain [CHECKS] [DEVICES]``.

On SQLite, and on PostgreSQL where OTA_DATABASE_URL names an empty database. Devices ask again and again; a release is open to a tenth
of them, and those take it.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time

from benchmarks.fill import fill
from ota.clock import utcnow
from ota.config import Settings
from ota.draining import Drainer
from ota.web.hot_path import hot_path
from ota.web.reports import reports

CHECKS, DEVICES = 1_000_000, 100_000


def main() -> None:
    checks, devices = (int(given) for given in (*sys.argv[1:], *(CHECKS, DEVICES)[len(sys.argv) - 1 :]))
    dice = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=folder,
            secret_key="k" * 64,
            database_url=os.environ.get("OTA_DATABASE_URL", ""),
            admin_password="correct horse battery",
        )
        app = fill(settings)
        path, runs = hot_path(app), {}
        start = time.perf_counter()
        for _ in range(checks):
            number = dice.randrange(devices)
            build = runs.get(number, 4)
            body = f'{{"platform":"android","current_version":"1.{build - 1}.0+{build}","device_id":"5f1c9a52-{number}","sdk":34}}'
            if b'"version_code":5' in path.answer(body.encode(), utcnow()):
                runs[number] = 5
        print(f"{checks:,} checks of {devices:,} devices written down in {time.perf_counter() - start:.1f} s")
        reports(app).close()
        start = time.perf_counter()
        counted = Drainer(app).drain()
        took = time.perf_counter() - start
        kind = settings.sqlalchemy_url.partition(":")[0]
        print(f"{counted:,} records counted on {kind} in {took:.1f} s: {counted / took:,.0f} a second")


if __name__ == "__main__":
    main()
