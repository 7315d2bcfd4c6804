"""Screenshots of the demo for the documentation: ``python -m scripts.demo_screenshots [folder]``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from scripts.screenshots import TARGET
from tests.conftest import PASSWORD
from tests.e2e.browser import FLAGS, log_in
from tests.e2e.program import Program


def photograph(page: Page, folder: Path, scheme: str) -> None:
    """Take the fleet, the health of a halted release, an experiment, and a device."""
    page.goto("/apps/courier/fleet?days=30")
    page.screenshot(path=folder / f"fleet-1280-{scheme}.png", full_page=True)
    page.goto("/apps/courier/releases")
    page.get_by_role("link", name="3.8.0").first.click()
    page.locator("#health").screenshot(path=folder / f"halted-1280-{scheme}.png")
    page.goto("/apps/depot/experiments/1")
    page.locator("#results").screenshot(path=folder / f"experiment-1280-{scheme}.png")
    page.goto("/apps/courier/devices")
    page.get_by_label("Device id").fill("courier-android-7")
    page.get_by_role("button", name="Look up").click()
    page.wait_for_timeout(300)
    page.screenshot(path=folder / f"device-1280-{scheme}.png")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    program = Program(Path(tempfile.mkdtemp(prefix="ota-demo-")))
    settings = {"OTA_DATA_DIR": str(program.folder / "data"), "OTA_ADMIN_PASSWORD": PASSWORD}
    subprocess.run(
        [sys.executable, "-m", "scripts.demo"],
        check=True,
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
    )
    program.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    base_url=program.url, viewport={"width": 1280, "height": 800}, color_scheme=scheme
                )  # type: ignore[arg-type]
                page = context.new_page()
                log_in(page)
                photograph(page, folder, scheme)
            browser.close()
    finally:
        program.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
