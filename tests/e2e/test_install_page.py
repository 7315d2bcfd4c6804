"""The install page in a real Chromium, on phones and on a desktop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.builders.packages import apk, ipa
from tests.e2e.browser import Watched, log_in
from tests.e2e.program import Program
from tests.installing.given import IPHONE, MAC, PHONE

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def published(shared: Program) -> Program:
    """A server with an Android and an iOS version whose texts are hostile and long without a space."""
    headers = {"Authorization": f"Bearer {shared.token()}", "Content_Type": "application/json"}
    builds = [
        shared.upload(apk(version=HOSTILE, code=2**40)),
        shared.upload(ipa(version="2.0.0" + "-x" * 20), "app.ipa"),
    ]
    shared.until(lambda: all(shared.uploaded(upload)["status"] == "ready" for upload in builds))
    for upload in builds:
        version_id = shared.uploaded(upload)["version"]["id"]
        notes = json.dumps({"release_notes": f"{HOSTILE}\n{'long' * 60}"}).encode()
        assert shared.request("PATCH", f"/api/versions/{version_id}", notes, **headers)[0] == 200
        assert shared.post(f"/api/versions/{version_id}/activate")[0] == 200
    return shared


@pytest.fixture
def visitor(chromium: Browser, published: Program, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A page in a browser with the options that the test names. Errors on the page fail the test."""
    context: BrowserContext = chromium.new_context(base_url=published.url, **request.param)
    watched = Watched(context, published)
    yield watched
    context.close()
    assert watched.problems == []


def phone(agent: str, **more: Any) -> dict[str, Any]:
    return {"user_agent": agent, "viewport": {"width": 360, "height": 780}, **more}


def link(program: Program, **body: Any) -> str:
    status, answer = program.post("/api/share-links", {"name": "Testers", **body})
    assert status == 201, answer
    found: str = answer["url"]
    return found


@pytest.mark.parametrize(
    "visitor",
    [
        phone(PHONE),
        phone(IPHONE, color_scheme="dark"),
        phone(PHONE, java_script_enabled=False),
        {"user_agent": MAC},
    ],
    indirect=True,
    ids=["android", "iphone", "without-javascript", "desktop"],
)
def test_the_page_fits_and_hostile_texts_are_text(visitor: Watched) -> None:
    page, dialogs = visitor.page, []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto("/install/my-app")
    for summary in page.locator("summary").all():
        summary.click()
    expect(page.get_by_text(HOSTILE).first).to_be_visible()
    assert page.locator("main img").count() == 0
    assert page.locator("script").count() == 0
    assert dialogs == []
    size = page.viewport_size
    assert size
    assert page.locator("html").bounding_box()["width"] <= size["width"]  # type: ignore[index]
    boxes = [element.bounding_box() for element in page.locator("main *:visible").all()]
    assert max(box["x"] + box["width"] for box in boxes if box) <= size["width"]


@pytest.mark.parametrize(
    "visitor", [{"user_agent": MAC, "viewport": {"width": 1440, "height": 900}}], indirect=True
)
def test_a_desktop_shows_a_code_and_both_platforms(visitor: Watched) -> None:
    page = visitor.page
    page.goto("/install/my-app")
    code = page.get_by_role("img", name="QR code of").bounding_box()
    assert code
    assert code["width"] >= 150
    expect(page.get_by_role("link", name="Download for Android")).to_be_visible()
    expect(page.get_by_text("begin with https")).to_be_visible()


@pytest.mark.parametrize("visitor", [phone(PHONE)], indirect=True)
def test_a_phone_gets_one_large_button_that_downloads(visitor: Watched) -> None:
    page = visitor.page
    page.goto("/install/my-app")
    button = page.get_by_role("link", name="Download for Android")
    box = button.bounding_box()
    assert box
    assert box["height"] >= 44
    assert box["y"] < 300
    with page.expect_download() as download:
        button.click()
    assert download.value.suggested_filename.endswith(".apk")


@pytest.mark.parametrize("visitor", [phone(PHONE, java_script_enabled=False)], indirect=True)
def test_a_link_with_a_password_opens_with_it_alone(visitor: Watched, published: Program) -> None:
    page = visitor.page
    page.goto(link(published, password="open sesame"))
    expect(page.get_by_role("heading")).to_have_text("This link has a password")
    page.get_by_label("Password").fill("open barley")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_text("The password is wrong.")).to_be_visible()
    page.get_by_label("Password").fill("open sesame")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("link", name="Download for Android")).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="Download for Android")).to_be_visible()


@pytest.mark.parametrize("visitor", [{"viewport": {"width": 1280, "height": 900}}], indirect=True)
def test_a_publisher_makes_shows_and_revokes_a_link(visitor: Watched) -> None:
    page = visitor.page
    log_in(page)
    page.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Share").click()
    page.get_by_label("Name").fill(HOSTILE)
    page.get_by_role("button", name="Make the link").click()
    address = page.locator(".secret code").inner_text()
    expect(page.get_by_role("img", name=f"QR code of {address}")).to_be_visible()
    page.goto("/apps/my-app/share")
    page.get_by_role("row", name="onerror").get_by_role("link", name="Show").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(address)
    dialog.get_by_role("link", name="Close").click()
    expect(dialog).not_to_be_visible()
    page.get_by_role("row", name="onerror").get_by_role("link", name="Revoke").click()
    dialog.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name="onerror")).to_contain_text("revoked")
    page.goto(address)
    expect(page.get_by_role("heading")).to_have_text("This link was taken back")
