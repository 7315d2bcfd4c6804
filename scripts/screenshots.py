"""Screenshots of the pages for the documentation: ``python -m scripts.screenshots [folder]``.

Starts its own server, fills it with builds from tests/builders, and takes the pictures with Chromium.
"""

from __future__ import annotations

import io
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, sync_playwright

from tests.builders.arsc import Resource
from tests.builders.axml import Reference
from tests.builders.packages import apk, ipa
from tests.e2e.browser import FLAGS, log_in
from tests.e2e.program import Program
from tests.installing.given import IPHONE, MAC, PHONE

TARGET = Path(__file__).parent.parent / "docs" / "images"
ENGINE = b"\0" * 100 + b'3.9.2 (stable) (Wed Aug 27 03:49:40 2025 -0700) on "android_arm64"\0'
NOTES = "• Sign in with a passkey\n• Orders are found by their number again\n• Less data on slow networks"

PAGES = {
    "apps": "/apps",
    "people": "/people",
    "tokens": "/tokens",
    "account": "/account",
    "docs": "/docs",
}


def icon(side: int) -> bytes:
    """A PNG icon for the app: a field under a sun."""
    image = Image.new("RGBA", (side, side), "#2f6f4f")
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, side, side * 0.62), fill="#bfe3f2")
    pen.ellipse((side * 0.55, side * 0.14, side * 0.83, side * 0.42), fill="#f5b942")
    for row in range(4):
        pen.line(
            (0, side * (0.68 + row * 0.09), side, side * (0.64 + row * 0.09)),
            fill="#438c66",
            width=max(1, side // 32),
        )
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


def android(version: str, code: int) -> bytes:
    """An APK. Version 2.5.0 has more permissions, needs a newer phone and supports fewer processors."""
    is_last = version == "2.5.0"
    processors = ("arm64-v8a",) if is_last else ("arm64-v8a", "armeabi-v7a")
    asked = ["INTERNET", "ACCESS_FINE_LOCATION", *(["CAMERA", "POST_NOTIFICATIONS"] if is_last else [])]
    return apk(
        "com.example.field",
        version,
        code,
        content=random.Random(code).randbytes(code * 500_000),
        min_sdk=26 if is_last else 24,
        target_sdk=35,
        permissions=[f"android.permission.{name}" for name in asked],
        resources=[Resource(0x7F010000, "Field"), Resource(0x7F020000, "res/icon.png", density=480)],
        application={"label": Reference(0x7F010000), "icon": Reference(0x7F020000)},
        files={"res/icon.png": icon(144), **{f"lib/{abi}/libflutter.so": ENGINE for abi in processors}},
    )


def iphone() -> bytes:
    """The same app as an IPA."""
    return ipa(
        "com.example.field",
        "2.4.0",
        "45",
        files={"AppIcon60x60@2x.png": icon(120)},
        CFBundleIcons={"CFBundlePrimaryIcon": {"CFBundleIconFiles": ["AppIcon60x60"]}},
        CFBundleDisplayName="Field",
    )


def fleet(program: Program) -> None:
    """Checks of 240 devices, some of them with old systems."""
    for number in range(240):
        sdk, abis = (25, ["armeabi-v7a"]) if number % 12 == 0 else (34, ["arm64-v8a", "armeabi-v7a"])
        question = {
            "platform": "android",
            "current_version": "2.4.0+45",
            "device_id": f"d{number}",
            "sdk": sdk,
            "abis": abis,
        }
        program.post("/api/updates/check", question, authorized=False)
    time.sleep(3)  # Checks are counted in batches, every two seconds.


def upload_builds(program: Program) -> dict[str, str]:
    """Upload the builds of a small app and a rejected one, wait for them, and return the uploads by name."""
    uploads = {}
    for code, version in ((41, "2.3.0"), (42, "2.3.1"), (45, "2.4.0"), (46, "2.4.1"), (48, "2.5.0")):
        uploads[version] = program.upload(android(version, code), f"field-{version}.apk")
    uploads["ios"] = program.upload(iphone(), "Field.ipa")
    uploads["bad"] = program.upload(apk("com.example.other", "1.0.0", 1), "other.apk")
    finished = {"ready", "rejected"}
    program.until(lambda: all(program.uploaded(upload)["status"] in finished for upload in uploads.values()))
    return uploads


def write_notes(program: Program, version_id: int) -> None:
    token = {"Authorization": f"Bearer {program.token()}", "Content_Type": "application/json"}
    notes = json.dumps({"release_notes": NOTES}).encode()
    program.request("PATCH", f"/api/versions/{version_id}", notes, **token)


def publish(program: Program, ids: dict[str, int]) -> int:
    """Publish some versions, one of them by a plan, and return the id of the planned release."""
    for name in ("2.3.0", "2.3.1", "2.4.0", "ios"):
        program.post(f"/api/versions/{ids[name]}/activate")
    program.post(f"/api/updates/deactivate/{ids['2.3.1']}")
    plan = [
        {"rollout": 1000, "soak_minutes": 1440},
        {"rollout": 5000, "soak_minutes": 1440},
        {"rollout": 10_000},
    ]
    program.post("/api/groups", {"name": "Testers in Utrecht"})
    terms = {"channel": "stable", "plan": plan, "groups": ["Testers in Utrecht"]}
    planned = program.post(f"/api/versions/{ids['2.4.1']}/releases", terms)
    release_id: int = planned[1]["release"]["id"]
    return release_id


def share(program: Program) -> None:
    """Share links, one with a password and one revoked."""
    for name, days in (("Testers in Utrecht", 30), ("Board of directors", 7), ("Trade fair, stand 12", 90)):
        password = "open sesame" if days == 7 else None
        program.post("/api/share-links", {"name": name, "days": days, "password": password})
    program.post("/api/share-links/3/revoke")


def fill(program: Program) -> dict[str, str]:
    """Make a few weeks of a small app, and return the paths of its pages by the name of their picture."""
    uploads = upload_builds(program)
    ids = {
        name: program.uploaded(upload)["version"]["id"] for name, upload in uploads.items() if name != "bad"
    }
    for version_id in ids.values():
        write_notes(program, version_id)
    release_id = publish(program, ids)
    fleet(program)
    share(program)
    return {**pages_of_app(ids, uploads, release_id), **PAGES}


def pages_of_app(ids: dict[str, int], uploads: dict[str, str], release_id: int) -> dict[str, str]:
    app = "/apps/my-app"
    return {
        "releases": f"{app}/releases",
        "release": f"{app}/releases/{release_id}",
        "explain": f"{app}/explain?platform=android&channel=stable&current_version=2.4.0%2B45&device_id=d20",
        "versions": f"{app}/versions",
        "version": f"{app}/versions/{ids['2.4.1']}",
        "publish": f"{app}/versions/{ids['2.5.0']}/publish",
        "before": f"{app}/versions/{ids['2.5.0']}",
        "iphone": f"{app}/versions/{ids['ios']}",
        "upload": f"{app}/uploads/{uploads['2.5.0']}",
        "rejected": f"{app}/uploads/{uploads['bad']}",
        "uploads": f"{app}/uploads",
        "new": f"{app}/uploads/new",
        "edit": f"{app}/versions/{ids['2.4.1']}/edit",
        "activity": f"{app}/activity",
        "settings": f"{app}/settings",
        "rollback": f"{app}/releases/1/rollback",
        "experiment": f"{app}/experiments/new",
        "channels": f"{app}/channels",
        "external": f"{app}/versions/new",
        "share": f"{app}/share",
    }


def photograph(browser: Browser, program: Program, pages: dict[str, str], folder: Path) -> None:
    """Take each page on a desktop and on a phone, light and dark."""
    for width, scheme in ((1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")):
        context = browser.new_context(
            base_url=program.url, viewport={"width": width, "height": 800}, color_scheme=scheme
        )
        page = context.new_page()
        log_in(page)
        for name, path in pages.items():
            page.goto(path)
            page.wait_for_timeout(400 if name != "docs" else 1500)
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=name != "docs")
        context.close()


def photograph_as_visitor(browser: Browser, program: Program, folder: Path) -> None:
    """Take the install page on an Android phone, an iPhone and a desktop."""
    for name, agent, width in (("android", PHONE, 360), ("iphone", IPHONE, 360), ("desktop", MAC, 1280)):
        for scheme in ("light", "dark"):
            context = browser.new_context(
                base_url=program.url,
                viewport={"width": width, "height": 800},
                color_scheme=scheme,
                user_agent=agent,
            )
            page = context.new_page()
            page.goto("/install/my-app")
            page.screenshot(path=folder / f"install-{name}-{width}-{scheme}.png", full_page=True)
            context.close()


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    program = Program(Path(tempfile.mkdtemp(prefix="ota-shots-")))
    program.start()
    try:
        pages = fill(program)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
            photograph(browser, program, pages, folder)
            program.stop()
            # Without https the page warns that iPhones cannot install from it.
            program.settings["OTA_BASE_URL"] = "https://updates.example.com"
            program.start()
            photograph_as_visitor(browser, program, folder)
            browser.close()
    finally:
        program.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
