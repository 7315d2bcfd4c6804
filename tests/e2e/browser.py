"""Chromium for tests and screenshots: how it is started, logged in, and watched for errors."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from tests.conftest import PASSWORD
from tests.e2e.program import Program

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Watched:
    """A page with its script errors, console errors and requests to other hosts."""

    def __init__(self, context: BrowserContext, program: Program) -> None:
        self.problems: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.page.on("console", self._note)
        self.page.on("request", lambda request: self._check_host(request.url, program.url))

    def _note(self, message: Any) -> None:
        # Answers such as 422 and 409 are shown in place, and Chromium logs each of them.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(f"console: {message.text}")

    def _check_host(self, url: str, own: str) -> None:
        if not url.startswith((own, "data:", "blob:")):
            self.problems.append(f"foreign: {url}")


def log_in(page: Page) -> None:
    page.goto("/login")
    page.get_by_label("E-mail").fill("admin@localhost")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()
