"""The page of a version in a real Chromium: facts of the build, preflight, and hostile names as text."""

from __future__ import annotations

import io

from PIL import Image
from playwright.sync_api import expect

from tests.builders.arsc import Resource
from tests.builders.axml import Reference
from tests.builders.packages import apk
from tests.e2e.browser import Watched
from tests.e2e.program import Program

LABEL = "<img src=x onerror=\"document.title='owned'\">"


def picture() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (144, 144), "red").save(target, "PNG")
    return target.getvalue()


def build(code: int, **more: object) -> bytes:
    resources = [Resource(0x7F010000, LABEL), Resource(0x7F020000, "res/icon.png", density=480)]
    described = {"label": Reference(0x7F010000), "icon": Reference(0x7F020000), **more.pop("application", {})}  # type: ignore[dict-item]
    files = {"res/icon.png": picture(), "lib/arm64-v8a/libflutter.so": b"\x7fELF"}
    return apk(
        code=code, version=f"1.{code}.0", resources=resources, application=described, files=files, **more
    )


def ready(program: Program, content: bytes) -> int:
    upload_id = program.upload(content)
    program.until(lambda: program.uploaded(upload_id)["status"] == "ready")
    found: int = program.uploaded(upload_id)["version"]["id"]
    return found


def test_a_hostile_label_is_text_and_the_icon_a_picture(watched: Watched, program: Program) -> None:
    version_id = ready(program, build(1))
    page = watched.page
    page.goto(f"/apps/my-app/versions/{version_id}")
    expect(page.locator(".facts", has_text="Name on the phone")).to_contain_text(LABEL)
    assert page.title() != "owned"
    assert page.locator("img[src=x]").count() == 0
    assert page.locator(".app-icon").evaluate("image => image.complete && image.naturalWidth > 0")
    program.post(f"/api/versions/{version_id}/activate")
    page.goto("/install/my-app")
    expect(page.locator("body")).to_contain_text(LABEL)
    assert page.title() != "owned"
    assert page.locator("img[src=x]").count() == 0


def test_the_dialog_warns_and_blocks(watched: Watched, program: Program) -> None:
    first = ready(program, build(1))
    program.post(f"/api/versions/{first}/activate")
    second = ready(
        program,
        build(2, permissions=["android.permission.CAMERA"], min_sdk=28, application={"debuggable": True}),
    )
    page = watched.page
    page.goto(f"/apps/my-app/versions/{second}")
    expect(page.get_by_role("heading", name="It can not be published")).to_be_visible()
    expect(page.locator(".gained")).to_contain_text("android.permission.CAMERA")
    page.get_by_role("link", name="Publish").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".check-block")).to_contain_text("debug build")
    expect(dialog.locator(".check-warn").first).to_contain_text("Needs Android API level 28")
    expect(dialog.get_by_role("button", name="Publish")).to_be_disabled()

    page.goto("/apps/my-app/settings")
    page.get_by_label("Publish debug builds").check()
    page.get_by_role("button", name="Save exceptions").click()
    page.goto(f"/apps/my-app/versions/{second}")
    page.get_by_role("link", name="Publish").click()
    dialog.get_by_role("button", name="Publish").click()
    expect(page.locator("#messages")).to_contain_text("Version 1.2.0 is offered to everybody")


def test_the_version_page_fits_every_width(watched: Watched, program: Program) -> None:
    permissions = [f"com.example.{'very' * 20}.long.permission.NUMBER_{number}" for number in range(30)]
    first = ready(program, build(1))
    second = ready(program, build(2, permissions=permissions))
    assert first
    for width in (360, 768, 1440):
        watched.page.set_viewport_size({"width": width, "height": 800})
        for path in (
            f"/apps/my-app/versions/{second}",
            f"/apps/my-app/versions/{second}/publish",
            "/apps/my-app/settings",
        ):
            watched.page.goto(path)
            wide = watched.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (path, width)
