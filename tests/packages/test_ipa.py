"""Facts of IPAs, and IPAs that are rejected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ota.core.platforms import Platform, ProfileType, Scheme
from ota.packages.ipa import info_plist_name
from tests.builders.packages import ipa
from tests.builders.profiles import profile
from tests.packages.given import read_build, rejection


def test_the_facts_of_an_ipa_are_read(tmp_path: Path) -> None:
    found = read_build(tmp_path, ipa("com.example.app", "2.3.4", "17", CFBundleDisplayName="Example App"))
    assert (found.platform, found.package_id) == (Platform.IOS, "com.example.app")
    assert (found.version, found.version_code) == ("2.3.4", 17)
    assert (found.label, found.minimum_os) == ("Example App", "15.0")
    assert found.device_families == ("iPhone", "iPad")
    assert (found.framework, found.framework_version) == ("native", None)
    assert (found.icon, found.extensions) == (None, ())


def test_its_signer_is_the_team_of_its_profile(tmp_path: Path) -> None:
    found = read_build(tmp_path, ipa(profile=profile(team="OTHER12345", kind=ProfileType.ENTERPRISE)))
    assert (found.signature.scheme, found.signature.schemes) == (Scheme.PROFILE, (Scheme.PROFILE,))
    assert found.signature.signer == "OTHER12345"
    assert found.signature.certificate is not None
    assert found.profile is not None
    assert (found.profile.type, found.profile.team_id) == (ProfileType.ENTERPRISE, "OTHER12345")


def test_the_name_of_the_bundle_stands_in_for_a_display_name(tmp_path: Path) -> None:
    assert read_build(tmp_path, ipa(CFBundleName="Short\u202ename")).label == "Shortname"
    assert read_build(tmp_path, ipa(CFBundleName=None)).label is None


@pytest.mark.parametrize("build", ["1.2.3", "", "-1", "1e3", "9" * 25, None])
def test_a_build_that_is_no_whole_number_is_no_version_code(tmp_path: Path, build: str | None) -> None:
    assert read_build(tmp_path, ipa(build=build)).version_code is None


@pytest.mark.parametrize(
    ("families", "expected"),
    [
        ([1], ("iPhone",)),
        ([2, 1, 2], ("iPad", "iPhone")),
        ([3, 4, 6, 7], ("Apple TV", "Apple Watch", "Mac", "Apple Vision")),
        ([99], ()),
        ([], ()),
    ],
)
def test_device_families_have_names(tmp_path: Path, families: list[int], expected: tuple[str, ...]) -> None:
    assert read_build(tmp_path, ipa(families=families)).device_families == expected


@pytest.mark.parametrize("framework", ["Flutter", "React Native", "Unity"])
def test_the_framework_is_recognized_by_its_files(tmp_path: Path, framework: str) -> None:
    assert read_build(tmp_path, ipa(framework=framework)).framework == framework


def test_extensions_clips_and_watch_apps_are_listed(tmp_path: Path) -> None:
    widget = {
        "CFBundleIdentifier": "com.example.app.widget",
        "CFBundleDisplayName": "Widget",
        "NSExtension": {"NSExtensionPointIdentifier": "com.apple.widgetkit-extension"},
    }
    newer = {
        "CFBundleIdentifier": "com.example.app.kit",
        "EXAppExtensionAttributes": {"EXExtensionPointIdentifier": "com.apple.kit"},
    }
    clip = {"CFBundleIdentifier": "com.example.app.Clip", "CFBundleName": "Clip"}
    watch = {"CFBundleIdentifier": "com.example.app.watch"}
    folders: dict[str, dict[str, Any]] = {
        "PlugIns/W.appex": widget,
        "Extensions/K.appex": newer,
        "AppClips/C.app": clip,
        "Watch/A.app": watch,
        "Watch/A.app/PlugIns/B.appex": widget,
        "Frameworks/Other.framework": watch,
    }
    found = read_build(tmp_path, ipa(extensions=folders)).extensions
    assert [(each.bundle_id, each.name, each.point) for each in found] == [
        ("com.example.app.widget", "Widget", "com.apple.widgetkit-extension"),
        ("com.example.app.kit", None, "com.apple.kit"),
        ("com.example.app.Clip", "Clip", None),
        ("com.example.app.watch", None, None),
        ("com.example.app.widget", "Widget", "com.apple.widgetkit-extension"),
    ]


def test_an_extension_that_can_not_be_read_is_refused_by_name(tmp_path: Path) -> None:
    error = rejection(tmp_path, ipa(files={"PlugIns/Odd.appex/Info.plist": b"nonsense"}))
    assert error.code == "unreadable_info_plist"
    assert "Odd.appex" in error.message
    assert rejection(tmp_path, ipa(extensions={"PlugIns/Odd.appex": {}})).code == "no_package_id"


def test_an_ipa_without_a_profile_is_refused_with_a_remedy(tmp_path: Path) -> None:
    error = rejection(tmp_path, ipa(profile=None))
    assert error.code == "no_profile"
    assert "ad hoc" in error.message


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"nonsense", "unreadable_profile"),
        (profile(kind=ProfileType.STORE), "store_profile"),
        (profile("com.example.other"), "profile_mismatch"),
        (b"\0" * 5_000_000, "entry_too_large"),
        (profile(devices=[f"{index:040x}" for index in range(200_000)]), "entry_too_large"),
    ],
    ids=["nonsense", "store", "another app", "zeros", "200,000 devices"],
)
def test_a_profile_that_ios_would_refuse_is_refused(tmp_path: Path, raw: bytes, code: str) -> None:
    assert rejection(tmp_path, ipa(profile=raw)).code == code


def test_several_apps_are_refused(tmp_path: Path) -> None:
    raw = ipa(beside={"Payload/Other.app/Other": b"x"})
    assert rejection(tmp_path, raw).code == "several_apps"


def test_files_that_macos_adds_next_to_the_app_are_ignored(tmp_path: Path) -> None:
    litter = {
        "__MACOSX/Payload/._Example.app": b"x",
        "__MACOSX/Payload/Example.app/Info.plist": b"x",
        "Payload/._Example.app": b"x",
        "Payload/.DS_Store": b"x",
        "SwiftSupport/iphoneos/libswiftCore.dylib": b"x",
        "Symbols/1.symbols": b"x",
    }
    assert read_build(tmp_path, ipa(beside=litter)).package_id == "com.example.app"
    assert info_plist_name(["__MACOSX/Payload/Example.app/Info.plist"]) is None
