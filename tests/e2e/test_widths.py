"""Every page fits every width, in both color schemes, with names as long as they can be."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.builders.packages import apk
from tests.e2e.browser import Watched, log_in
from tests.e2e.program import Program

WIDTHS = [360, 768, 1440]
PAGES = [
    "/apps/my-app/versions",
    "/apps/my-app/versions/1",
    "/apps/my-app/versions/1/edit",
    "/apps/my-app/versions/1/withdraw",
    "/apps/my-app/versions/new",
    "/apps/my-app/uploads",
    "/apps/my-app/uploads/new",
    "/apps/my-app/activity",
    "/apps/my-app/channels",
    "/apps/my-app/channels/1/edit",
    "/apps/my-app/channels/1/shut-off",
    "/apps/my-app/shut-off",
    "/apps/my-app/groups",
    "/apps/my-app/groups/1",
    "/apps/my-app/groups/1/delete",
    "/apps/my-app/releases",
    "/apps/my-app/releases/1",
    "/apps/my-app/releases/7",
    "/apps/my-app/releases/7/rollback",
    "/apps/my-app/releases/7/withdraw",
    "/apps/my-app/versions/1/publish",
    "/apps/my-app/versions/2/publish?channel=stable",
    "/apps/my-app/experiments",
    "/apps/my-app/experiments/new",
    "/apps/my-app/experiments/1",
    "/apps/my-app/experiments/1/end",
    "/apps/my-app/alerts",
    "/apps/my-app/alerts/webhooks/1",
    "/apps/my-app/settings",
    "/apps/my-app/health-policy",
    "/apps/my-app/fleet?days=90",
    "/apps/my-app/devices",
    "/apps/my-app/explain",
    "/apps/my-app/explain?current_version=0.9.0&device_id=" + "d" * 200,
    "/apps/my-app/share",
    "/apps",
    "/people",
    "/tokens",
    "/account",
    "/nothing",
    "/install/my-app",
]


def publish_three_versions(program: Program) -> list[int]:
    """Publish iOS versions with external files, and return their ids."""
    build = {
        "platform": "ios",
        "download_url": "https://updates.example.com/app.ipa",
        "checksum": "ab" * 32,
        "file_size": 1,
    }
    names = [(f"1.0.{code}-a-rather-long-name-of-a-version", 2**40 + code) for code in (1, 2, 3)]
    published = [
        program.post("/api/updates/publish", {**build, "version": name, "version_code": code})[1]
        for name, code in names
    ]
    return [answer["version"]["id"] for answer in published]


def fill_with_long_names(program: Program) -> None:
    """A channel, a group, a release with a plan, an experiment and a proposal, all with long names."""
    channel = "a-rather-long-name-of-a-channel"
    group = "A-rather-long-name-of-a-group-without-any-space-in-it-at-all"
    channel_made = program.post(
        "/api/channels", {"name": channel, "falls_back_to": ["stable"], "approval_above": 1250}
    )
    grouped = program.post("/api/groups", {"name": group})
    program.post("/api/webhooks", {"url": "https://hooks.invalid/" + "a-rather-long-address" * 12})
    program.post("/api/webhooks/1/test")
    program.post(
        "/api/groups/1/devices",
        {"add": ["device-1"], "note": "a-note-that-is-long-and-has-no-space-in-it" * 2},
    )
    arms = publish_three_versions(program)[1:]
    for version_id in arms:
        program.post(f"/api/updates/deactivate/{version_id}")
    weights = [{"version_id": version_id, "weight": 3333} for version_id in arms]
    compared = program.post("/api/experiments", {"name": "Long" * 20, "channel": "stable", "arms": weights})
    steps = [{"rollout": 100 * step, "soak_minutes": 1500} for step in range(1, 9)]
    planned = program.post("/api/versions/1/releases", {"channel": channel, "plan": steps, "groups": [group]})
    asked = program.post(f"/api/releases/{planned[1]['release']['id']}/rollout", {"rollout": 9000})
    answers = (channel_made, grouped, compared, planned, asked)
    assert [status for status, _ in answers] == [201, 201, 201, 201, 202]
    program.post("/api/channels/2/shut-off")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_every_width_without_an_error(
    chromium: Browser, program: Program, scheme: Any
) -> None:
    upload_id = program.upload(apk(version="1.0.0-a-rather-long-name-of-a-version", code=2**40))
    program.until(lambda: program.uploaded(upload_id)["status"] == "ready")
    program.post("/api/versions/1/activate")
    fill_with_long_names(program)
    context = chromium.new_context(base_url=program.url, color_scheme=scheme)
    watched = Watched(context, program)
    log_in(watched.page)
    for width in WIDTHS:
        watched.page.set_viewport_size({"width": width, "height": 800})
        for path in PAGES:
            answer = watched.page.goto(path)
            assert answer is not None
            assert answer.status == (404 if path == "/nothing" else 200), path
            needed = watched.page.evaluate("document.documentElement.scrollWidth")
            assert needed <= width, (path, width, needed)
    context.close()
    assert watched.problems == []
