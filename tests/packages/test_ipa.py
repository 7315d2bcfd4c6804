"""IPAs: what the archive says about itself, and hostile ones."""

from __future__ import annotations

import io
import plistlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from ota.core.platforms import Platform, ProfileType, Scheme
from ota.errors import Rejected
from ota.packages import PackageFacts
from ota.packages.archive import open_archive
from ota.packages.ipa import info_plist_name, read
from tests.builders.images import cgbi, picture
from tests.builders.packages import archive, ipa
from tests.builders.profiles import TEAM, profile, usual

INFO = "Payload/Example.app/Info.plist"
PROFILE = "Payload/Example.app/embedded.mobileprovision"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "package"


def facts(path: Path, raw: bytes) -> PackageFacts:
    path.write_bytes(raw)
    with open_archive(path) as package:
        return read(package)


def refused(path: Path, raw: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        facts(path, raw)
    return caught.value


def with_plist(raw: bytes) -> bytes:
    return archive({INFO: raw, PROFILE: usual("com.example.app")})


def test_an_ipa_tells_who_it_is(path: Path) -> None:
    found = facts(path, ipa("com.example.app", "2.3.4", "17", CFBundleDisplayName="Example App"))
    assert (found.platform, found.package_id, found.version, found.version_code) == (
        Platform.IOS,
        "com.example.app",
        "2.3.4",
        17,
    )
    assert (found.label, found.minimum_os, found.device_families) == (
        "Example App",
        "15.0",
        ("iPhone", "iPad"),
    )
    assert (found.framework, found.framework_version, found.icon, found.extensions) == (
        "native",
        None,
        None,
        (),
    )


def test_its_signer_is_the_team_of_its_profile(path: Path) -> None:
    found = facts(path, ipa(profile=profile(team="OTHER12345", kind=ProfileType.ENTERPRISE)))
    assert (found.signature.scheme, found.signature.schemes, found.signature.signer) == (
        Scheme.PROFILE,
        (Scheme.PROFILE,),
        "OTHER12345",
    )
    assert found.signature.certificate is not None
    assert found.profile is not None
    assert (found.profile.type, found.profile.team_id) == (ProfileType.ENTERPRISE, "OTHER12345")


def test_the_name_of_the_bundle_stands_in_for_a_display_name(path: Path) -> None:
    assert facts(path, ipa(CFBundleName="Short\u202ename")).label == "Shortname"
    assert facts(path, ipa(CFBundleName=None)).label is None


@pytest.mark.parametrize("build", ["1.2.3", "", "-1", "1e3", "9" * 25, None])
def test_a_build_that_is_no_whole_number_is_no_version_code(path: Path, build: str | None) -> None:
    assert facts(path, ipa(build=build)).version_code is None


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
def test_device_families_have_names(path: Path, families: list[int], expected: tuple[str, ...]) -> None:
    assert facts(path, ipa(families=families)).device_families == expected


@pytest.mark.parametrize("framework", ["Flutter", "React Native", "Unity"])
def test_the_framework_shows_in_what_is_inside(path: Path, framework: str) -> None:
    assert facts(path, ipa(framework=framework)).framework == framework


def test_extensions_clips_and_watch_apps_are_listed(path: Path) -> None:
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
    found = facts(path, ipa(extensions=folders)).extensions
    assert [(each.bundle_id, each.name, each.point) for each in found] == [
        ("com.example.app.widget", "Widget", "com.apple.widgetkit-extension"),
        ("com.example.app.kit", None, "com.apple.kit"),
        ("com.example.app.Clip", "Clip", None),
        ("com.example.app.watch", None, None),
        ("com.example.app.widget", "Widget", "com.apple.widgetkit-extension"),
    ]


def test_an_extension_that_can_not_be_read_is_refused_by_name(path: Path) -> None:
    error = refused(path, ipa(files={"PlugIns/Odd.appex/Info.plist": b"nonsense"}))
    assert error.code == "unreadable_info_plist"
    assert "Odd.appex" in error.message
    assert refused(path, ipa(extensions={"PlugIns/Odd.appex": {}})).code == "no_package_id"


def test_an_ipa_without_a_profile_is_refused_with_what_to_do(path: Path) -> None:
    error = refused(path, ipa(profile=None))
    assert error.code == "no_profile"
    assert "ad hoc or enterprise" in error.message


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
def test_a_profile_that_ios_would_refuse_is_refused(path: Path, raw: bytes, code: str) -> None:
    assert refused(path, ipa(profile=raw)).code == code


def test_several_apps_are_refused(path: Path) -> None:
    raw = ipa(beside={"Payload/Other.app/Other": b"x"})
    assert refused(path, raw).code == "several_apps"


def test_what_macos_leaves_beside_the_app_is_passed_over(path: Path) -> None:
    litter = {
        "__MACOSX/Payload/._Example.app": b"x",
        "__MACOSX/Payload/Example.app/Info.plist": b"x",
        "Payload/._Example.app": b"x",
        "Payload/.DS_Store": b"x",
        "SwiftSupport/iphoneos/libswiftCore.dylib": b"x",
        "Symbols/1.symbols": b"x",
    }
    assert facts(path, ipa(beside=litter)).package_id == "com.example.app"
    assert info_plist_name(["__MACOSX/Payload/Example.app/Info.plist"]) is None


def bundle_icons(*names: Any) -> dict[str, Any]:
    return {"CFBundlePrimaryIcon": {"CFBundleIconFiles": list(names)}}


def colour(icon: bytes | None) -> object:
    assert icon is not None
    return Image.open(io.BytesIO(icon)).getpixel((3, 3))


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
def test_the_icon_is_found_however_it_is_named(path: Path, info: dict[str, Any], good: str) -> None:
    found = facts(
        path, ipa(files={"other@3x.png": picture(300, 300, RED), good: picture(120, 120, GREEN)}, **info)
    )
    assert colour(found.icon) == GREEN


def test_the_icon_that_looks_best_is_taken(path: Path) -> None:
    files = {
        "AppIcon60x60@2x.png": picture(120, 120, RED),
        "AppIcon60x60@3x.png": cgbi([[GREEN] * 200] * 200, (4,)),
        "AppIcon60x60.png": picture(2100, 2100, RED),
    }
    assert colour(facts(path, ipa(files=files, CFBundleIcons=bundle_icons("AppIcon60x60"))).icon) == GREEN


def test_the_picture_for_itunes_is_the_last_resort(path: Path) -> None:
    artwork = {"iTunesArtwork": picture(512, 512, GREEN, "JPEG")}
    assert facts(path, ipa(beside=artwork)).icon is not None
    assert (
        colour(facts(path, ipa(beside=artwork, files={"AppIcon60x60.png": picture(60, 60, RED)})).icon) == RED
    )
    assert facts(path, ipa(files={"Assets.car": b"BOMStore"})).icon is None


@pytest.mark.parametrize(
    "raw", [b"nonsense", b"\0" * 5_000_000, b""], ids=["nonsense", "too many bytes", "nothing"]
)
def test_an_icon_that_is_none_fails_no_build(path: Path, raw: bytes) -> None:
    assert facts(path, ipa(files={"AppIcon60x60.png": raw})).icon is None


def nested_xml(depth: int) -> bytes:
    value = b"<array>" * depth + b"</array>" * depth
    return (
        b'<?xml version="1.0"?><plist version="1.0"><dict><key>UIDeviceFamily</key>'
        + value
        + b"</dict></plist>"
    )


def nested_binary(depth: int) -> bytes:
    body = (
        b"bplist00" + b"".join(b"\xa1" + (index + 1).to_bytes(4, "big") for index in range(depth)) + b"\xa0"
    )
    offsets = b"".join((8 + 5 * index).to_bytes(4, "big") for index in range(depth + 1))
    return (
        body
        + offsets
        + bytes(6)
        + bytes([4, 4])
        + (depth + 1).to_bytes(8, "big")
        + bytes(8)
        + len(body).to_bytes(8, "big")
    )


LAUGHS = (
    b'<!DOCTYPE plist [<!ENTITY a "ha"><!ENTITY b "'
    + b"&a;" * 100
    + b'"><!ENTITY c "'
    + b"&b;" * 100
    + b'">]>'
)
UNREADABLE = {
    "nothing": b"",
    "nonsense": b"\xff\xfe nonsense",
    "a list": plistlib.dumps([1]),
    "a text": plistlib.dumps("text"),
    "a bare number in binary": plistlib.dumps(7, fmt=plistlib.FMT_BINARY),
    "cut off": plistlib.dumps({"CFBundleIdentifier": "a.b"})[:-20],
    "billion laughs": b'<?xml version="1.0"?>'
    + LAUGHS
    + b"<plist><dict><key>CFBundleName</key><string>&c;</string></dict></plist>",
    "an outside entity": b'<!DOCTYPE plist [<!ENTITY x SYSTEM "file:///etc/hostname">]><plist><dict><key>a</key><string>&x;</string></dict></plist>',
    "binary nested 100,000 deep": nested_binary(100_000),
    "an integer of 100,000 digits": b"<plist><dict><key>a</key><integer>"
    + b"9" * 100_000
    + b"</integer></dict></plist>",
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE)
def test_a_hostile_info_plist_is_unreadable(path: Path, raw: bytes) -> None:
    assert refused(path, with_plist(raw)).code == "unreadable_info_plist"


def test_xml_nested_100_000_deep_does_no_harm(path: Path) -> None:
    assert refused(path, with_plist(nested_xml(100_000))).code == "no_package_id"


def test_an_info_plist_above_4_mib_is_not_read(path: Path) -> None:
    assert refused(path, with_plist(b" " * (4 * 1024**2 + 1))).code == "entry_too_large"


@pytest.mark.parametrize(
    "bundle",
    [None, "", 7, ["com.example.app"], "com.example\u200b.app", " com.example.app", "x" * 300],
    ids=repr,
)
def test_a_bundle_id_that_can_not_be_told_for_sure_is_refused(path: Path, bundle: Any) -> None:
    assert (
        refused(path, ipa(CFBundleIdentifier=bundle, profile=profile(app_id=f"{TEAM}.*"))).code
        == "no_package_id"
    )


KEYS = [
    "CFBundleShortVersionString",
    "CFBundleVersion",
    "CFBundleDisplayName",
    "CFBundleName",
    "MinimumOSVersion",
    "UIDeviceFamily",
    "CFBundleIcons",
    "CFBundleIcons~ipad",
    "CFBundleIconFiles",
    "CFBundleIconFile",
]
VALUES: list[Any] = [
    7,
    1.5,
    True,
    "",
    "text",
    b"bytes",
    [],
    [7, "x", [], {}],
    [{}],
    {},
    {"CFBundlePrimaryIcon": 7},
    bundle_icons(7, {}, []),
    {"CFBundlePrimaryIcon": {"CFBundleIconFiles": "x"}},
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_of_another_type_is_passed_over(path: Path, key: str, value: Any) -> None:
    found = facts(path, ipa(**{key: value}))
    assert found.package_id == "com.example.app"
    for text in (found.version, found.label, found.minimum_os):
        assert text is None or isinstance(text, str)


@pytest.mark.parametrize("value", [7, "text", [], {"NSExtensionPointIdentifier": 7}], ids=repr)
def test_an_extensions_value_of_another_type_is_passed_over(path: Path, value: object) -> None:
    extension = {
        "CFBundleIdentifier": "a.b",
        "CFBundleName": 7,
        "NSExtension": value,
        "EXAppExtensionAttributes": value,
    }
    found = facts(path, ipa(extensions={"PlugIns/A.appex": extension}))
    assert [(each.name, each.point) for each in found.extensions] == [(None, None)]


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mutation_of_an_info_plist_raises_anything_else(path: Path, data: st.DataObject) -> None:
    info = {
        "CFBundleIdentifier": "com.example.app",
        "CFBundleVersion": "1",
        "CFBundleIcons": bundle_icons("A"),
        "UIDeviceFamily": [1, 2],
    }
    raw = bytearray(
        plistlib.dumps(info, fmt=data.draw(st.sampled_from([plistlib.FMT_XML, plistlib.FMT_BINARY])))
    )
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        facts(path, with_plist(bytes(raw)))
    except Rejected:
        pass
