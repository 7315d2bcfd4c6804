"""Facts of APKs, read as Android reads them."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.builders import arsc
from tests.builders.arsc import ANY_DENSITY, Resource
from tests.builders.axml import Element, Reference, encode
from tests.builders.images import picture
from tests.builders.packages import apk, manifest
from tests.builders.signing import sign_v2, signer
from tests.packages.given import aapt_badging, build_file, icon_color, read_build, rejection

LABEL, ICON, NAME = 0x7F010000, 0x7F020000, 0x7F010001


RED, GREEN, BLUE = (255, 0, 0, 255), (0, 128, 0, 255), (0, 0, 255, 255)


def with_icon(icons: Sequence[Resource], files: dict[str, bytes]) -> bytes:
    return apk(resources=icons, files=files, application={"icon": Reference(ICON)})


def label(folder: Path, *labels: Resource) -> str | None:
    """Return the label of a build with these values of it."""
    return read_build(folder, apk(resources=labels, application={"label": Reference(LABEL)})).label


def test_the_manifest_tells_levels_permissions_and_flags(tmp_path: Path) -> None:
    facts = read_build(
        tmp_path,
        apk(
            min_sdk=26,
            target_sdk=35,
            permissions=["b.SECOND", "a.FIRST", "b.SECOND"],
            application={"debuggable": True},
        ),
    )
    assert (facts.min_sdk, facts.target_sdk, facts.is_debuggable) == (26, 35, True)
    assert facts.permissions == ("a.FIRST", "b.SECOND")


def test_a_version_code_has_64_bits(tmp_path: Path) -> None:
    assert read_build(tmp_path, apk(code=7 << 32 | 5)).version_code == 7 << 32 | 5


def test_a_label_in_many_languages_is_read_in_the_default_one(tmp_path: Path) -> None:
    german, french = Resource(LABEL, "Beispiel", "de"), Resource(LABEL, "Exemple", "fr")
    assert label(tmp_path, german, Resource(LABEL, "Example app"), french) == "Example app"


def test_without_a_default_label_the_english_one_is_read(tmp_path: Path) -> None:
    german, english = Resource(LABEL, "Beispiel", "de"), Resource(LABEL, "Example app", "en")
    assert label(tmp_path, german, english) == "Example app"


def test_a_version_name_may_be_a_resource_that_names_another(tmp_path: Path) -> None:
    resources = [Resource(NAME, refers_to=NAME + 1), Resource(NAME + 1, "4.5.6")]
    assert read_build(tmp_path, apk(version=Reference(NAME), resources=resources)).version == "4.5.6"


def test_the_icon_of_the_highest_density_becomes_a_png(tmp_path: Path) -> None:
    icons = [
        Resource(ICON, "res/low.png", density=160),
        Resource(ICON, "res/high.webp", density=640),
        Resource(ICON, "res/mid.png", density=320),
    ]
    files = {
        "res/low.png": picture(48, 48, RED),
        "res/high.webp": picture(192, 192, BLUE, "WEBP"),
        "res/mid.png": picture(96, 96, GREEN),
    }
    assert icon_color(tmp_path, with_icon(icons, files))[2] > 200


def test_an_adaptive_icon_alone_is_shown_by_its_foreground(tmp_path: Path) -> None:
    drawing = encode(Element("adaptive-icon", {}, [Element("foreground", {"drawable": Reference(ICON + 1)})]))
    icons = [
        Resource(ICON, "res/icon.xml", density=ANY_DENSITY),
        Resource(ICON + 1, "res/front.png", density=480),
    ]
    files = {"res/icon.xml": drawing, "res/front.png": picture(108, 108, BLUE)}
    assert icon_color(tmp_path, with_icon(icons, files)) == BLUE


def test_a_picture_is_preferred_to_a_drawing(tmp_path: Path) -> None:
    icons = [Resource(ICON, "res/icon.xml", density=ANY_DENSITY), Resource(ICON, "res/old.png", density=240)]
    files = {"res/icon.xml": b"not read", "res/old.png": picture(72, 72, RED)}
    assert icon_color(tmp_path, with_icon(icons, files)) == RED


def test_a_vector_is_never_passed_through(tmp_path: Path) -> None:
    icons = [Resource(ICON, "res/icon.xml", density=ANY_DENSITY)]
    files = {"res/icon.xml": b"<svg onload='alert(1)'/>"}
    assert read_build(tmp_path, with_icon(icons, files)).icon is None


@pytest.mark.parametrize(
    ("library", "framework"),
    [
        ("libflutter.so", "Flutter"),
        ("libreactnative.so", "React Native"),
        ("libunity.so", "Unity"),
        ("libmonodroid.so", ".NET"),
        ("libown.so", "native"),
    ],
)
def test_the_libraries_tell_processors_and_framework(tmp_path: Path, library: str, framework: str) -> None:
    files = {f"lib/{abi}/{library}": b"\x7fELF" for abi in ("arm64-v8a", "x86_64")}
    facts = read_build(tmp_path, apk(files=files))
    assert facts.abis == ("arm64-v8a", "x86_64")
    assert (facts.framework, facts.framework_version) == (framework, None)


def test_flutters_engine_tells_the_version_of_its_dart(tmp_path: Path) -> None:
    engine = (
        b"\0" * 300_000
        + b'3.5.0 (stable) (Tue Jul 30 02:17:59 2024 -0700) on "android_arm64"\0'
        + b"\0" * 1000
    )
    assert (
        read_build(tmp_path, apk(files={"lib/arm64-v8a/libflutter.so": engine})).framework_version
        == "Dart 3.5.0"
    )


@pytest.mark.parametrize(
    ("build", "code"),
    [
        ({"split": "config.de"}, "split_apks"),
        ({"application": {"isSplitRequired": True}}, "split_apks"),
        ({"application": {"testOnly": True}}, "test_only"),
        (
            {"application": {"label": Reference(LABEL)}, "resources": [Resource(LABEL, refers_to=LABEL)]},
            "unreadable_manifest",
        ),
        (
            {
                "version": Reference(NAME),
                "resources": [Resource(NAME, refers_to=NAME + 1), Resource(NAME + 1, refers_to=NAME)],
            },
            "unreadable_manifest",
        ),
        (
            {"files": {"resources.arsc": b"\x02\x00\x0c\x00\xff\xff\xff\xff" + b"\0" * 64}},
            "unreadable_manifest",
        ),
    ],
    ids=[
        "a split",
        "a base that needs splits",
        "test only",
        "a label that is itself",
        "two names in a circle",
        "a lying table",
    ],
)
def test_what_a_phone_would_refuse_is_refused(tmp_path: Path, build: dict[str, Any], code: str) -> None:
    assert rejection(tmp_path, apk(**build)).code == code


@pytest.mark.parametrize(("target_sdk", "is_refused"), [(29, False), (30, True)])
def test_resources_that_android_11_can_not_map_are_refused(
    tmp_path: Path, target_sdk: int, is_refused: bool
) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("AndroidManifest.xml", manifest(target_sdk=target_sdk))
        file.writestr("resources.arsc", arsc.encode([Resource(LABEL, "Example")]))
    content = sign_v2(target.getvalue(), signer("Example"))
    if not is_refused:
        assert read_build(tmp_path, content).target_sdk == target_sdk
        return
    error = rejection(tmp_path, content)
    assert error.code == "packed_resources"
    assert "zipalign" in error.message


def test_androids_own_tool_reads_the_same(tmp_path: Path) -> None:
    labels = [Resource(LABEL, "Beispiel", "de"), Resource(LABEL, "Example app"), Resource(NAME, "4.5.6")]
    build = apk(
        version=Reference(NAME),
        code=77,
        min_sdk=25,
        target_sdk=35,
        permissions=["android.permission.CAMERA"],
        resources=[*labels, Resource(ICON, "res/icon.png", density=640)],
        files={"res/icon.png": picture(), "lib/arm64-v8a/libown.so": b"\x7fELF"},
        application={"label": Reference(LABEL), "icon": Reference(ICON)},
    )
    badging = aapt_badging(build_file(tmp_path, build))
    facts = read_build(tmp_path, build)
    package = re.search(r"package: name='([^']*)' versionCode='([^']*)' versionName='([^']*)'", badging)
    assert package, badging
    assert package.groups() == (facts.package_id, str(facts.version_code), facts.version)
    assert f"application: label='{facts.label}'" in badging
    assert f"sdkVersion:'{facts.min_sdk}'" in badging
    assert f"targetSdkVersion:'{facts.target_sdk}'" in badging
    assert re.findall(r"uses-permission: name='([^']*)'", badging) == list(facts.permissions)
    assert re.findall(r"native-code: '([^']*)'", badging) == list(facts.abis)
