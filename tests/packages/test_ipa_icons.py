"""The icon of an IPA is found under its many names, and the best one is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.builders.images import cgbi, picture
from tests.builders.packages import ipa
from tests.packages.given import icon_color, read_build


def bundle_icons(*names: Any) -> dict[str, Any]:
    return {"CFBundlePrimaryIcon": {"CFBundleIconFiles": list(names)}}


RED, GREEN = (255, 0, 0, 255), (0, 255, 0, 255)


@pytest.mark.parametrize(
    ("info", "good"),
    [
        ({"CFBundleIcons": bundle_icons("AppIcon60x60")}, "AppIcon60x60@3x.png"),
        ({"CFBundleIcons": bundle_icons("Gone", "AppIcon60x60")}, "AppIcon60x60@2x~iphone.png"),
        ({"CFBundleIcons~ipad": bundle_icons("Tablet76x76")}, "Tablet76x76@2x~ipad.png"),
        ({"CFBundleIconFiles": ["Icon-60.png"]}, "Icon-60@2x.png"),
        ({"CFBundleIconFiles": ["Icon-60@2x.png"]}, "Icon-60@2x.png"),
        ({"CFBundleIconFile": "pictures/Icon.png"}, "pictures/Icon.png"),
        ({}, "AppIcon29x29.png"),
    ],
    ids=repr,
)
def test_the_icon_is_found_however_it_is_named(tmp_path: Path, info: dict[str, Any], good: str) -> None:
    files = {"other@3x.png": picture(300, 300, RED), good: picture(120, 120, GREEN)}
    assert icon_color(tmp_path, ipa(files=files, **info)) == GREEN


def test_the_icon_that_looks_best_is_taken(tmp_path: Path) -> None:
    files = {
        "AppIcon60x60@2x.png": picture(120, 120, RED),
        "AppIcon60x60@3x.png": cgbi([[GREEN] * 200] * 200, (4,)),
        "AppIcon60x60.png": picture(2100, 2100, RED),
    }
    build = ipa(files=files, CFBundleIcons=bundle_icons("AppIcon60x60"))
    assert icon_color(tmp_path, build) == GREEN


def test_the_picture_for_itunes_is_the_last_resort(tmp_path: Path) -> None:
    artwork = {"iTunesArtwork": picture(512, 512, GREEN, "JPEG")}
    assert read_build(tmp_path, ipa(beside=artwork)).icon is not None
    with_icon = ipa(beside=artwork, files={"AppIcon60x60.png": picture(60, 60, RED)})
    assert icon_color(tmp_path, with_icon) == RED
    assert read_build(tmp_path, ipa(files={"Assets.car": b"BOMStore"})).icon is None


@pytest.mark.parametrize(
    "raw", [b"nonsense", b"\0" * 5_000_000, b""], ids=["nonsense", "too many bytes", "nothing"]
)
def test_an_unreadable_icon_is_no_reason_to_reject(tmp_path: Path, raw: bytes) -> None:
    assert read_build(tmp_path, ipa(files={"AppIcon60x60.png": raw})).icon is None
