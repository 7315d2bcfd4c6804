"""Property lists of IPAs that are damaged, hostile, or of unexpected types."""

from __future__ import annotations

import plistlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ota.errors import Rejected
from tests.builders.packages import archive, ipa
from tests.builders.profiles import TEAM, profile, usual
from tests.packages.given import read_build, rejection

INFO = "Payload/Example.app/Info.plist"
PROFILE = "Payload/Example.app/embedded.mobileprovision"
PRIMARY = {"CFBundlePrimaryIcon": {"CFBundleIconFiles": ["A"]}}


def with_plist(raw: bytes) -> bytes:
    return archive({INFO: raw, PROFILE: usual("com.example.app")})


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
def test_a_hostile_info_plist_is_unreadable(tmp_path: Path, raw: bytes) -> None:
    assert rejection(tmp_path, with_plist(raw)).code == "unreadable_info_plist"


def test_xml_nested_100_000_deep_does_no_harm(tmp_path: Path) -> None:
    assert rejection(tmp_path, with_plist(nested_xml(100_000))).code == "no_package_id"


def test_an_info_plist_above_4_mib_is_not_read(tmp_path: Path) -> None:
    assert rejection(tmp_path, with_plist(b" " * (4 * 1024**2 + 1))).code == "entry_too_large"


@pytest.mark.parametrize(
    "bundle",
    [None, "", 7, ["com.example.app"], "com.example\u200b.app", " com.example.app", "x" * 300],
    ids=repr,
)
def test_a_missing_or_ambiguous_bundle_id_is_refused(tmp_path: Path, bundle: Any) -> None:
    build = ipa(CFBundleIdentifier=bundle, profile=profile(app_id=f"{TEAM}.*"))
    assert rejection(tmp_path, build).code == "no_package_id"


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
    {"CFBundlePrimaryIcon": {"CFBundleIconFiles": [7, {}, []]}},
    {"CFBundlePrimaryIcon": {"CFBundleIconFiles": "x"}},
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_of_another_type_is_passed_over(tmp_path: Path, key: str, value: Any) -> None:
    found = read_build(tmp_path, ipa(**{key: value}))
    assert found.package_id == "com.example.app"
    for text in (found.version, found.label, found.minimum_os):
        assert text is None or isinstance(text, str)


@pytest.mark.parametrize("value", [7, "text", [], {"NSExtensionPointIdentifier": 7}], ids=repr)
def test_an_extensions_value_of_another_type_is_passed_over(tmp_path: Path, value: object) -> None:
    extension = {
        "CFBundleIdentifier": "a.b",
        "CFBundleName": 7,
        "NSExtension": value,
        "EXAppExtensionAttributes": value,
    }
    found = read_build(tmp_path, ipa(extensions={"PlugIns/A.appex": extension}))
    assert [(each.name, each.point) for each in found.extensions] == [(None, None)]


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mutation_of_an_info_plist_raises_anything_else(tmp_path: Path, data: st.DataObject) -> None:
    info = {
        "CFBundleIdentifier": "com.example.app",
        "CFBundleVersion": "1",
        "CFBundleIcons": PRIMARY,
        "UIDeviceFamily": [1, 2],
    }
    raw = bytearray(
        plistlib.dumps(info, fmt=data.draw(st.sampled_from([plistlib.FMT_XML, plistlib.FMT_BINARY])))
    )
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_build(tmp_path, with_plist(bytes(raw)))
    except Rejected:
        pass
