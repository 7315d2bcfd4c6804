"""What an APK says about itself, read as Android reads it."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ota.errors import Rejected
from ota.packages import PackageFacts, read_here
from tests.builders import arsc
from tests.builders.arsc import ANY_DENSITY, Resource
from tests.builders.axml import Element, Reference, encode
from tests.builders.packages import apk, manifest
from tests.builders.signing import sign_v2, signer
from tests.conftest import missing

LABEL, ICON, NAME = 0x7F010000, 0x7F020000, 0x7F010001


def picture(size: int = 96, colour: str = "red", form: str = "PNG") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(target, form)
    return target.getvalue()


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def read_bytes(content: bytes) -> PackageFacts:
        path = tmp_path / "build"
        path.write_bytes(content)
        return read_here(path)

    return read_bytes


def colour_of(icon: bytes | None) -> Any:
    assert icon is not None
    with Image.open(io.BytesIO(icon)) as image:
        assert image.format == "PNG"
        return image.convert("RGB").getpixel((image.width // 2, image.height // 2))


def test_the_manifest_tells_levels_permissions_and_flags(read: Any) -> None:
    facts = read(
        apk(
            min_sdk=26,
            target_sdk=35,
            permissions=["b.SECOND", "a.FIRST", "b.SECOND"],
            application={"debuggable": True},
        )
    )
    assert (facts.min_sdk, facts.target_sdk, facts.is_debuggable) == (26, 35, True)
    assert facts.permissions == ("a.FIRST", "b.SECOND")


def test_a_version_code_has_64_bits(read: Any) -> None:
    assert read(apk(code=7 << 32 | 5)).version_code == 7 << 32 | 5


def test_a_label_in_many_languages_is_read_in_the_default_one(read: Any) -> None:
    labels = [
        Resource(LABEL, "Beispiel", "de"),
        Resource(LABEL, "Example app"),
        Resource(LABEL, "Exemple", "fr"),
    ]
    assert read(apk(resources=labels, application={"label": Reference(LABEL)})).label == "Example app"


def test_without_a_default_label_the_english_one_is_read(read: Any) -> None:
    labels = [Resource(LABEL, "Beispiel", "de"), Resource(LABEL, "Example app", "en")]
    assert read(apk(resources=labels, application={"label": Reference(LABEL)})).label == "Example app"


def test_a_version_name_may_be_a_resource_that_names_another(read: Any) -> None:
    resources = [Resource(NAME, refers_to=NAME + 1), Resource(NAME + 1, "4.5.6")]
    assert read(apk(version=Reference(NAME), resources=resources)).version == "4.5.6"


def test_the_icon_of_the_highest_density_becomes_a_png(read: Any) -> None:
    icons = [
        Resource(ICON, "res/low.png", density=160),
        Resource(ICON, "res/high.webp", density=640),
        Resource(ICON, "res/mid.png", density=320),
    ]
    files = {
        "res/low.png": picture(48, "red"),
        "res/high.webp": picture(192, "blue", "WEBP"),
        "res/mid.png": picture(96, "green"),
    }
    facts = read(apk(resources=icons, files=files, application={"icon": Reference(ICON)}))
    assert colour_of(facts.icon)[2] > 200


def test_of_an_adaptive_icon_alone_the_foreground_is_shown(read: Any) -> None:
    drawn = encode(Element("adaptive-icon", {}, [Element("foreground", {"drawable": Reference(ICON + 1)})]))
    icons = [
        Resource(ICON, "res/icon.xml", density=ANY_DENSITY),
        Resource(ICON + 1, "res/front.png", density=480),
    ]
    files = {"res/icon.xml": drawn, "res/front.png": picture(108, "blue")}
    assert colour_of(read(apk(resources=icons, files=files, application={"icon": Reference(ICON)})).icon) == (
        0,
        0,
        255,
    )


def test_a_picture_is_preferred_to_a_drawing(read: Any) -> None:
    icons = [Resource(ICON, "res/icon.xml", density=ANY_DENSITY), Resource(ICON, "res/old.png", density=240)]
    files = {"res/icon.xml": b"not read", "res/old.png": picture(72, "red")}
    assert colour_of(read(apk(resources=icons, files=files, application={"icon": Reference(ICON)})).icon) == (
        255,
        0,
        0,
    )


def test_a_vector_is_never_passed_through(read: Any) -> None:
    icons = [Resource(ICON, "res/icon.xml", density=ANY_DENSITY)]
    assert (
        read(
            apk(
                resources=icons,
                files={"res/icon.xml": b"<svg onload='alert(1)'/>"},
                application={"icon": Reference(ICON)},
            )
        ).icon
        is None
    )


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
def test_the_libraries_tell_processors_and_framework(read: Any, library: str, framework: str) -> None:
    facts = read(apk(files={f"lib/arm64-v8a/{library}": b"\x7fELF", f"lib/x86_64/{library}": b"\x7fELF"}))
    assert (facts.abis, facts.framework, facts.framework_version) == (
        ("arm64-v8a", "x86_64"),
        framework,
        None,
    )


def test_flutters_engine_tells_the_version_of_its_dart(read: Any) -> None:
    engine = (
        b"\0" * 300_000
        + b'3.5.0 (stable) (Tue Jul 30 02:17:59 2024 -0700) on "android_arm64"\0'
        + b"\0" * 1000
    )
    assert read(apk(files={"lib/arm64-v8a/libflutter.so": engine})).framework_version == "Dart 3.5.0"


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
def test_what_a_phone_would_refuse_is_refused(read: Any, build: dict[str, Any], code: str) -> None:
    with pytest.raises(Rejected) as refusal:
        read(apk(**build))
    assert refusal.value.code == code


@pytest.mark.parametrize(("target_sdk", "is_refused"), [(29, False), (30, True)])
def test_resources_that_android_11_can_not_map_are_refused(
    read: Any, target_sdk: int, is_refused: bool
) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("AndroidManifest.xml", manifest(target_sdk=target_sdk))
        file.writestr("resources.arsc", arsc.encode([Resource(LABEL, "Example")]))
    content = sign_v2(target.getvalue(), signer("Example"))
    if not is_refused:
        assert read(content).target_sdk == target_sdk
        return
    with pytest.raises(Rejected, match="zipalign") as refusal:
        read(content)
    assert refusal.value.code == "packed_resources"


def test_androids_own_tool_reads_the_same(tmp_path: Path) -> None:
    if shutil.which("aapt") is None:
        missing("aapt")
    labels = [Resource(LABEL, "Beispiel", "de"), Resource(LABEL, "Example app"), Resource(NAME, "4.5.6")]
    icons = [Resource(ICON, "res/icon.png", density=640)]
    path = tmp_path / "build.apk"
    path.write_bytes(
        apk(
            version=Reference(NAME),
            code=77,
            min_sdk=25,
            target_sdk=35,
            permissions=["android.permission.CAMERA"],
            resources=[*labels, *icons],
            files={"res/icon.png": picture(), "lib/arm64-v8a/libown.so": b"\x7fELF"},
            application={"label": Reference(LABEL), "icon": Reference(ICON)},
        )
    )
    facts = read_here(path)
    told = subprocess.run(
        ["aapt", "dump", "badging", path], capture_output=True, text=True, check=False
    ).stdout
    package = re.search(r"package: name='([^']*)' versionCode='([^']*)' versionName='([^']*)'", told)
    assert package, told
    assert package.groups() == (facts.package_id, str(facts.version_code), facts.version)
    assert f"application: label='{facts.label}'" in told
    assert f"sdkVersion:'{facts.min_sdk}'" in told
    assert f"targetSdkVersion:'{facts.target_sdk}'" in told
    assert re.findall(r"uses-permission: name='([^']*)'", told) == list(facts.permissions)
    assert re.findall(r"native-code: '([^']*)'", told) == list(facts.abis)
