"""The pages in a real Chromium: from a build to an offer by hand, without other hosts and without errors."""

from __future__ import annotations

import hashlib
import random
import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.builders.packages import apk
from tests.e2e.browser import Watched, log_in
from tests.e2e.program import Program


def slow_down(page: Page, bytes_per_second: int) -> None:
    """Limit the upload speed, so that the progress bar can be seen at work."""
    conditions = {
        "offline": False,
        "latency": 0,
        "downloadThroughput": -1,
        "uploadThroughput": bytes_per_second,
    }
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", conditions)


def test_a_build_is_dropped_processed_published_and_offered(
    watched: Watched, program: Program, tmp_path: Path
) -> None:
    page = watched.page
    build = tmp_path / "field-1.1.0.apk"
    build.write_bytes(apk("com.example.field", "1.1.0", 2, content=random.Random(3).randbytes(20_000_000)))
    drop_and_watch_progress(page, build)
    publish_in_the_dialog(page)

    question = {"platform": "android", "current_version": "1.0.0+1", "device_id": "abc123"}
    offer = program.post("/api/updates/check", question, authorized=False)[1]
    assert offer["version_code"] == 2
    with page.expect_download() as download:
        page.get_by_role("link", name="1.1.0").first.click()
        page.get_by_role("link", name=re.compile("my-app-1.1.0-2.apk")).click()
    assert hashlib.sha256(Path(download.value.path()).read_bytes()).hexdigest() == offer["checksum"]

    pause_resume_and_withdraw(page)
    assert program.post("/api/updates/check", question, authorized=False)[1]["reason"] == "no_release"


def drop_and_watch_progress(page: Page, build: Path) -> None:
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


def publish_in_the_dialog(page: Page) -> None:
    page.get_by_role("link", name="Publish").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("nothing")
    dialog.get_by_role("button", name="Publish").click()
    expect(page.locator("#messages")).to_contain_text("Version 1.1.0 is offered to everybody on stable.")
    expect(page.locator("#versions tbody tr")).to_contain_text("live")


def pause_resume_and_withdraw(page: Page) -> None:
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


def test_a_bad_field_and_a_bad_file_are_explained_in_place(watched: Watched, tmp_path: Path) -> None:
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


def test_search_filters_in_place_and_the_back_button_undoes_it(watched: Watched, program: Program) -> None:
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


def test_a_build_is_uploaded_and_published_without_javascript(
    chromium: Browser, program: Program, tmp_path: Path
) -> None:
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
