"""The pages in a real Chromium: the whole way by hand, without foreign hosts, without errors, on every width."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.builders.packages import apk
from tests.conftest import PASSWORD, missing
from tests.e2e.conftest import Program

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
WIDTHS = [360, 768, 1440]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


class Watched:
    """A page, and everything that went wrong on it."""

    def __init__(self, context: BrowserContext, program: Program) -> None:
        self.problems: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.page.on("console", self._note)
        self.page.on("request", lambda request: self._check_host(request.url, program.url))

    def _note(self, message: Any) -> None:
        # Answers such as 422 and 409 are shown in place; Chromium writes a line about each.
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


def slow_down(page: Page, bytes_per_second: int) -> None:
    """Send no faster than this, so that progress can be watched."""
    conditions = {
        "offline": False,
        "latency": 0,
        "downloadThroughput": -1,
        "uploadThroughput": bytes_per_second,
    }
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", conditions)


@pytest.fixture
def watched(chromium: Browser, program: Program) -> Iterator[Watched]:
    context = chromium.new_context(base_url=program.url, viewport={"width": 1280, "height": 900})
    found = Watched(context, program)
    log_in(found.page)
    yield found
    context.close()
    assert found.problems == []


def test_a_build_is_dropped_processed_published_and_offered(
    watched: Watched, program: Program, tmp_path: Path
) -> None:
    page = watched.page
    build = tmp_path / "field-1.1.0.apk"
    build.write_bytes(apk("com.example.field", "1.1.0", 2, content=random.Random(3).randbytes(20_000_000)))
    slow_down(page, bytes_per_second=15_000_000)
    page.locator("input[type=file]").set_input_files(build)
    expect(page.locator("[data-file-name]")).to_have_text("field-1.1.0.apk (20.0 MB)")
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator(".progress p")).to_have_text(re.compile(r"Sending: \d+\.\d MB of 20\.0 MB \(\d+ %\)"))
    bar = page.locator(".progress progress")
    assert 0 < float(bar.get_attribute("value") or 0) <= 20_100_000

    expect(page.locator("#upload-status")).to_contain_text("It became 1.1.0", timeout=30_000)
    assert page.locator("#upload-status").get_attribute("hx-trigger") is None
    expect(page.get_by_role("heading", name="field-1.1.0.apk")).to_be_visible()

    page.get_by_role("link", name="Publish").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("nothing")
    dialog.get_by_role("button", name="Publish").click()
    expect(page.locator("#messages")).to_contain_text("Version 1.1.0 is offered to everybody on stable.")
    expect(page.locator("#versions tbody tr")).to_contain_text("live")

    question = {"platform": "android", "current_version": "1.0.0+1", "device_id": "abc123"}
    offer = program.post("/api/updates/check", question, authorized=False)[1]
    assert offer["version_code"] == 2
    with page.expect_download() as download:
        page.get_by_role("link", name="1.1.0").first.click()
        page.get_by_role("link", name=re.compile("my-app-1.1.0-2.apk")).click()
    assert hashlib.sha256(Path(download.value.path()).read_bytes()).hexdigest() == offer["checksum"]

    page.get_by_role("link", name="Rollout, plan and history").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".head .pill")).to_have_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".head .pill")).to_have_text("live")
    page.get_by_role("link", name="Roll back").click()
    expect(page.get_by_role("dialog")).to_contain_text("repairs nobody")
    page.get_by_role("dialog").get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("dialog")).not_to_be_visible()
    page.get_by_role("link", name="the version").click()
    page.get_by_role("link", name="Deactivate").click()
    page.get_by_role("dialog").get_by_role("button", name="Deactivate").click()
    expect(page.locator(".head .pill")).to_have_text("withdrawn")
    assert program.post("/api/updates/check", question, authorized=False)[1]["reason"] == "no_release"


def test_a_bad_file_and_a_missing_one_are_explained_where_the_eye_is(
    watched: Watched, tmp_path: Path
) -> None:
    page = watched.page
    bad = tmp_path / "notes.apk"
    bad.write_text("this is not a package")
    page.goto("/apps/my-app/uploads/new")
    page.get_by_text("Release notes and flags").click()
    page.get_by_label("Minimum supported version").fill("banana")
    page.locator("input[type=file]").set_input_files(bad)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator(".wrong")).to_contain_text("is not a version")
    expect(page.get_by_label("Minimum supported version")).to_have_value("banana")
    page.get_by_label("Minimum supported version").fill("")
    page.locator("input[type=file]").set_input_files(bad)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator("#upload-status")).to_contain_text("it is not a ZIP archive", timeout=20_000)


def test_a_hostile_label_is_text_and_runs_nothing(watched: Watched, program: Program) -> None:
    upload_id = program.upload(
        apk(version="<img src=x onerror=alert(1)>", code=6), "<script>alert(2)</script>.apk"
    )
    program.until(lambda: program.uploaded(upload_id)["status"] == "ready")
    page, dialogs = watched.page, []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for path in (
        "versions",
        "versions/1",
        "versions/1/publish",
        "uploads",
        f"uploads/{upload_id}",
        "activity",
    ):
        page.goto(f"/apps/my-app/{path}")
        expect(page.get_by_text("onerror").or_(page.get_by_text("<script>")).first).to_be_visible()
    assert dialogs == []
    assert page.locator("main img").count() == 0


def test_search_filters_in_place_and_the_address_can_be_gone_back_from(
    watched: Watched, program: Program
) -> None:
    for code in (1, 2, 3):
        program.upload(apk(version=f"{code}.5.0", code=code))
    program.until(
        lambda: (
            len(program.get("/api/versions", Authorization=f"Bearer {program.token()}")[1]["versions"]) == 3
        )
    )
    page = watched.page
    page.goto("/apps/my-app/versions")
    page.keyboard.press("/")
    page.keyboard.type("2.5")
    expect(page.locator("#versions tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"q=2\.5"))
    expect(page.get_by_label("Search versions")).to_be_focused()
    page.go_back()
    expect(page.locator("#versions tbody tr")).to_have_count(3)
    expect(page.get_by_role("navigation", name="Main", exact=True)).to_be_visible()


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


def fill_with_long_names(program: Program) -> None:
    """A channel, a group, a release that follows a plan, an experiment and a proposal, with names that try every box."""
    channel, group = (
        "a-rather-long-name-of-a-channel",
        "A-rather-long-name-of-a-group-without-any-space-in-it-at-all",
    )
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
    elsewhere = {
        "platform": "ios",
        "download_url": "https://updates.example.com/app.ipa",
        "checksum": "ab" * 32,
        "file_size": 1,
    }
    arms = []
    for code in (1, 2, 3):
        named = {
            **elsewhere,
            "version": f"1.0.{code}-a-rather-long-name-of-a-version",
            "version_code": 2**40 + code,
        }
        arms.append(program.post("/api/updates/publish", named)[1]["version"]["id"])
    for version_id in arms[1:]:
        program.post(f"/api/updates/deactivate/{version_id}")
    weights = [{"version_id": version_id, "weight": 3333} for version_id in arms[1:]]
    compared = program.post("/api/experiments", {"name": "Long" * 20, "channel": "stable", "arms": weights})
    steps = [{"rollout": 100 * step, "soak_minutes": 1500} for step in range(1, 9)]
    planned = program.post("/api/versions/1/releases", {"channel": channel, "plan": steps, "groups": [group]})
    asked = program.post(f"/api/releases/{planned[1]['release']['id']}/rollout", {"rollout": 9000})
    assert [answer[0] for answer in (channel_made, grouped, compared, planned, asked)] == [
        201,
        201,
        201,
        201,
        202,
    ]
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


def test_the_whole_way_works_without_javascript(chromium: Browser, program: Program, tmp_path: Path) -> None:
    build = tmp_path / "app.apk"
    build.write_bytes(apk(version="2.0.0", code=20))
    context = chromium.new_context(base_url=program.url, java_script_enabled=False)
    page = Watched(context, program).page
    log_in(page)
    page.locator("input[type=file]").set_input_files(build)
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator("#upload-status")).to_contain_text("It became 2.0.0", timeout=30_000)
    page.get_by_role("link", name="Publish").click()
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#messages")).to_contain_text("is offered to everybody")
    context.close()


def test_the_api_documentation_is_served_from_here(watched: Watched) -> None:
    page = watched.page
    page.goto("/docs")
    expect(page.get_by_text("/api/updates/check").first).to_be_visible()
    expect(page.get_by_role("heading", name="App Updates")).to_be_visible()
    page.get_by_text("/api/updates/check").first.click()
    page.get_by_role("button", name="Execute").click()
    expect(page.get_by_text('"update_available"').first).to_be_visible()
