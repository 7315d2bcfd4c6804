"""Pictures of the pages for the README and for looking at: ``python -m scripts.screenshots [folder]``.

Starts a server of its own, fills it with builds made by the tests' builders, and photographs it with Chromium.
"""

from __future__ import annotations

import io
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
from tests.e2e.conftest import Program
from tests.e2e.test_browser import FLAGS, log_in
from tests.installing.given import IPHONE, MAC, PHONE

TARGET = Path(__file__).parent.parent / "docs" / "images"
ENGINE = b"\0" * 100 + b'3.9.2 (stable) (Wed Aug 27 03:49:40 2025 -0700) on "android_arm64"\0'
NOTES = "• Sign in with a passkey\n• Orders are found by their number again\n• Less data on slow networks"


def icon(side: int) -> bytes:
    """A picture for the app: a field under a sun."""
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
    """One build of the app; 2.5.0 asks for more, needs a newer phone and has lost a processor."""
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


def fleet(program: Program) -> None:
    """Devices that ask, some of them old."""
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
    time.sleep(3)  # They are written together, every two seconds.


def fill(program: Program) -> dict[str, str]:
    """A few weeks of a small app; answers the addresses worth a picture."""
    uploads = {}
    for code, version in ((41, "2.3.0"), (42, "2.3.1"), (45, "2.4.0"), (46, "2.4.1"), (48, "2.5.0")):
        uploads[version] = program.upload(android(version, code), f"field-{version}.apk")
    files = {"AppIcon60x60@2x.png": icon(120)}
    icons = {"CFBundlePrimaryIcon": {"CFBundleIconFiles": ["AppIcon60x60"]}}
    uploads["ios"] = program.upload(
        ipa(
            "com.example.field", "2.4.0", "45", files=files, CFBundleIcons=icons, CFBundleDisplayName="Field"
        ),
        "Field.ipa",
    )
    uploads["bad"] = program.upload(apk("com.example.other", "1.0.0", 1), "other.apk")
    program.until(
        lambda: all(
            program.uploaded(upload)["status"] in {"ready", "rejected"} for upload in uploads.values()
        )
    )
    ids = {
        name: program.uploaded(upload)["version"]["id"] for name, upload in uploads.items() if name != "bad"
    }
    token = {"Authorization": f"Bearer {program.token()}", "Content_Type": "application/json"}
    for version_id in ids.values():
        program.request(
            "PATCH",
            f"/api/versions/{version_id}",
            f'{{"release_notes": "{NOTES}"}}'.replace("\n", "\\n").encode(),
            **token,
        )
    for name in ("2.3.0", "2.3.1", "2.4.0", "ios"):
        program.post(f"/api/versions/{ids[name]}/activate")
    program.post(f"/api/updates/deactivate/{ids['2.3.1']}")
    plan = [
        {"rollout": 1000, "soak_minutes": 1440},
        {"rollout": 5000, "soak_minutes": 1440},
        {"rollout": 10_000},
    ]
    program.post("/api/groups", {"name": "Testers in Utrecht"})
    planned = program.post(
        f"/api/versions/{ids['2.4.1']}/releases",
        {"channel": "stable", "plan": plan, "groups": ["Testers in Utrecht"]},
    )
    fleet(program)
    for name, days in (("Testers in Utrecht", 30), ("Board of directors", 7), ("Trade fair, stand 12", 90)):
        program.post(
            "/api/share-links", {"name": name, "days": days, "password": "open sesame" if days == 7 else None}
        )
    program.post("/api/share-links/3/revoke")
    app = "/apps/my-app"
    return {
        "releases": f"{app}/releases",
        "release": f"{app}/releases/{planned[1]['release']['id']}",
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
        "apps": "/apps",
        "people": "/people",
        "tokens": "/tokens",
        "account": "/account",
        "settings": f"{app}/settings",
        "docs": "/docs",
        "rollback": f"{app}/releases/1/rollback",
        "experiment": f"{app}/experiments/new",
        "channels": f"{app}/channels",
        "external": f"{app}/versions/new",
        "share": f"{app}/share",
    }


def photograph(browser: Browser, program: Program, pages: dict[str, str], folder: Path) -> None:
    """Each page on a desktop and on a phone, light and dark."""
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
    """The install page on an Android phone, an iPhone and a desktop."""
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
            program.settings["OTA_BASE_URL"] = (
                "https://updates.example.com"  # iPhones install from https only, and the page says so.
            )
            program.start()
            photograph_as_visitor(browser, program, folder)
            browser.close()
    finally:
        program.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
