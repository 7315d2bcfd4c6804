"""A manifest that two readers of Android would understand differently is refused, even when it is signed well."""

from __future__ import annotations

import random
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ota.errors import Rejected
from ota.packages import PackageFacts, read_here
from tests.builders import axml
from tests.builders.arsc import Resource
from tests.builders.axml import Reference, chunk, string_pool
from tests.builders.packages import apk, apk_entries, archive, manifest
from tests.builders.signing import sign_v2, signer
from tests.conftest import missing
from tests.packages.mutations import mutated

FLAG = 0x7F010000


def read(content: bytes, folder: Path) -> PackageFacts:
    path = folder / "build.apk"
    path.write_bytes(content)
    return read_here(path)


def refusal(content: bytes, folder: Path) -> str:
    with pytest.raises(Rejected) as found:
        read(content, folder)
    return found.value.code


def with_manifest(raw: bytes) -> bytes:
    return sign_v2(archive({"AndroidManifest.xml": raw, "a": b"a"}), signer("Example"))


def inner(raw: bytes) -> bytes:
    return raw[8:]


def pool_size(raw: bytes) -> int:
    found: int = struct.unpack_from("<I", raw, 12)[0]
    return found


@pytest.mark.parametrize("name", ["debuggable", "testOnly", "isSplitRequired"])
@pytest.mark.parametrize("value", ["true", "1", "false"])
def test_a_flag_that_is_a_text_is_refused(tmp_path: Path, name: str, value: str) -> None:
    assert refusal(apk(application={name: value}), tmp_path) == "unreadable_manifest"


def test_a_flag_that_differs_between_devices_is_refused(tmp_path: Path) -> None:
    resources = [Resource(FLAG, 0), Resource(FLAG, 1, density=160)]
    assert (
        refusal(apk(application={"debuggable": Reference(FLAG)}, resources=resources), tmp_path)
        == "unreadable_manifest"
    )


def test_a_flag_that_is_a_resource_is_followed(tmp_path: Path) -> None:
    assert read(
        apk(application={"debuggable": Reference(FLAG)}, resources=[Resource(FLAG, 1)]), tmp_path
    ).is_debuggable


def test_a_second_string_pool_is_refused(tmp_path: Path) -> None:
    good = manifest()
    size = pool_size(good)
    twice = chunk(0x0003, 8, b"", good[8 : 8 + size] + string_pool(["evil"] * 20) + good[8 + size :])
    assert refusal(with_manifest(twice), tmp_path) == "unreadable_manifest"


def test_a_map_of_attributes_behind_an_element_is_refused(tmp_path: Path) -> None:
    late = chunk(0x0003, 8, b"", inner(manifest()) + chunk(0x0180, 8, b"", struct.pack("<I", 0x0101021B)))
    assert refusal(with_manifest(late), tmp_path) == "unreadable_manifest"


def test_an_attribute_with_two_texts_is_refused(tmp_path: Path) -> None:
    raw = bytearray(manifest(package="com.good.app"))
    start = raw.index(struct.pack("<HH", 0x0102, 16))
    (count,) = struct.unpack_from("<H", raw, start + 16 + 12)
    for number in range(count):
        at = start + 36 + 20 * number
        if raw[at + 15] == axml.STRING:
            struct.pack_into("<I", raw, at + 8, 0)
    assert refusal(with_manifest(bytes(raw)), tmp_path) == "unreadable_manifest"


def test_attributes_out_of_order_are_refused(tmp_path: Path) -> None:
    raw = bytearray(manifest())
    start = raw.index(struct.pack("<HH", 0x0102, 16), raw.index(struct.pack("<HH", 0x0102, 16)) + 4)
    first, second = start + 36, start + 56
    raw[first:second], raw[second : second + 20] = raw[second : second + 20], raw[first:second]
    assert refusal(with_manifest(bytes(raw)), tmp_path) == "unreadable_manifest"


@pytest.mark.parametrize(
    "package",
    [
        "com.good.app\u200b",
        "<b> not a package",
        "com",
        "com..app",
        "1com.app",
        "com.app-x",
        "",
        "c\u00f6m.app",
    ],
)
def test_a_package_name_that_phones_refuse_is_refused(tmp_path: Path, package: str) -> None:
    assert refusal(apk(package=package), tmp_path) == "no_package_id"


def test_a_build_without_a_version_code_is_refused_whatever_is_sent_along(tmp_path: Path) -> None:
    assert refusal(apk(code=None), tmp_path) == "no_version_code"
    assert refusal(apk(code=2**63), tmp_path) == "no_version_code"


def test_libraries_that_shall_not_be_extracted_must_lie_as_they_are(tmp_path: Path) -> None:
    build = apk(files={"lib/arm64-v8a/libown.so": b"\x7fELF" * 50}, application={"extractNativeLibs": False})
    assert refusal(build, tmp_path) == "packed_libraries"
    assert read(
        apk(files={"lib/arm64-v8a/libown.so": b"\x7fELF" * 50}, application={"extractNativeLibs": True}),
        tmp_path,
    )


def test_a_changed_and_signed_manifest_is_read_as_androids_own_tool_reads_it(tmp_path: Path) -> None:
    if shutil.which("aapt") is None:
        missing("aapt")
    good, agreed = apk_entries(min_sdk=24, target_sdk=34, permissions=["a.B"])["AndroidManifest.xml"], 0
    for seed in range(400):
        changed = mutated(good, seed) if seed % 2 else flipped(good, seed)
        try:
            facts = read(with_manifest(changed), tmp_path)
        except Rejected:
            continue
        told = badging(tmp_path / "build.apk")
        if told is not None:
            agreed += 1
            assert told == (facts.package_id, facts.version_code, facts.is_debuggable), seed
    assert agreed > 20


def flipped(content: bytes, seed: int) -> bytes:
    """One bit in the elements, behind the strings: that is where meaning is."""
    dice = random.Random(seed)
    at = dice.randrange(8 + pool_size(content), len(content))
    return content[:at] + bytes([content[at] ^ 1 << dice.randrange(8)]) + content[at + 1 :]


def badging(path: Path) -> tuple[Any, ...] | None:
    told = subprocess.run(["aapt", "dump", "badging", path], capture_output=True, check=False).stdout.decode(
        errors="replace"
    )
    found = re.search(r"package: name='([^']*)' versionCode='(\d*)'", told)
    if found is None or not found[2]:
        return None
    return found[1], int(found[2]), "application-debuggable" in told
