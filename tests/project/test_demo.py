"""The demo has something to show."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from ota.config import ROOT


def test_the_demo_has_a_halted_release_and_a_device_with_a_story(tmp_path: Path) -> None:
    settings = {
        "OTA_DATA_DIR": str(tmp_path / "data"),
        "OTA_ADMIN_PASSWORD": "correct horse battery",
        "OTA_DATABASE_URL": "",
    }
    made = subprocess.run(
        [sys.executable, "-m", "scripts.demo"],
        check=True,
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
    )
    assert made.stdout.splitlines()[-1].endswith("/apps/courier/fleet")
    database = sqlite3.connect(tmp_path / "data" / "ota.db")

    def values(query: str, *given: object) -> list[object]:
        return [row[0] for row in database.execute(query, given)]

    assert values("SELECT slug FROM apps ORDER BY is_default DESC, slug") == ["courier", "depot", "field"]
    assert values(
        "SELECT version FROM app_versions v JOIN releases r ON r.version_id = v.id WHERE r.state = 'halted'"
    ) == ["3.8.0"]
    (device,) = values(
        "SELECT device_id FROM release_devices JOIN device_group_members ON device_hash = device_id "
        "WHERE failed_at > healthy_at"
    )
    assert values("SELECT app_version FROM devices WHERE device_hash = ?", device) == ["3.8.0+110"]
    assert values("SELECT kind FROM events WHERE device_id = ? ORDER BY at", device)[:4] == [
        "download_completed",
        "installed",
        "launch_ok",
        "crash",
    ]
    answers = values(
        "SELECT DISTINCT reason || coalesce(' ' || offered_version, '') FROM update_checks "
        "WHERE device_id = ?",
        device,
    )
    assert {"up_to_date", "update_available 3.8.0"} <= set(answers)
    assert values(
        "SELECT count(*) FROM update_checks "
        "WHERE current_version LIKE '%+110' AND offered_version IS NOT NULL"
    ) == [0]
