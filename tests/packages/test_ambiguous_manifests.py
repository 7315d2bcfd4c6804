"""Manifests that two readers of Android could understand differently are rejected, even if well signed."""

from __future__ import annotations

import random
import re
import struct
from pathlib import Path

import pytest

from ota.errors import Rejected
from tests.builders import axml
from tests.builders.arsc import Resource
from tests.builders.axml import Reference, chunk, string_pool
from tests.builders.packages import apk, apk_entries, archive, manifest
from tests.builders.signing import sign_v2, signer
from tests.packages.given import aapt_badging, read_build, rejection
from tests.packages.mutations import flip_bit, mutated

FLAG = 0x7F010000


def with_manifest(raw: bytes) -> bytes:
    return sign_v2(archive({"AndroidManifest.xml": raw, "a": b"a"}), signer("Example"))


def pool_size(raw: bytes) -> int:
    found: int = struct.unpack_from("<I", raw, 12)[0]
    return found


@pytest.mark.parametrize("name", ["debuggable", "testOnly", "isSplitRequired"])
@pytest.mark.parametrize("value", ["true", "1", "false"])
def test_a_flag_that_is_a_text_is_refused(tmp_path: Path, name: str, value: str) -> None:
    assert rejection(tmp_path, apk(application={name: value})).code == "unreadable_manifest"


def test_a_flag_that_differs_between_devices_is_refused(tmp_path: Path) -> None:
    resources = [Resource(FLAG, 0), Resource(FLAG, 1, density=160)]
    build = apk(application={"debuggable": Reference(FLAG)}, resources=resources)
    assert rejection(tmp_path, build).code == "unreadable_manifest"


def test_a_flag_that_is_a_resource_is_followed(tmp_path: Path) -> None:
    build = apk(application={"debuggable": Reference(FLAG)}, resources=[Resource(FLAG, 1)])
    assert read_build(tmp_path, build).is_debuggable


def test_a_second_string_pool_is_refused(tmp_path: Path) -> None:
    good = manifest()
    size = pool_size(good)
    twice = chunk(0x0003, 8, b"", good[8 : 8 + size] + string_pool(["evil"] * 20) + good[8 + size :])
    assert rejection(tmp_path, with_manifest(twice)).code == "unreadable_manifest"


def test_a_map_of_attributes_behind_an_element_is_refused(tmp_path: Path) -> None:
    late = chunk(0x0003, 8, b"", manifest()[8:] + chunk(0x0180, 8, b"", struct.pack("<I", 0x0101021B)))
    assert rejection(tmp_path, with_manifest(late)).code == "unreadable_manifest"


def test_an_attribute_with_two_texts_is_refused(tmp_path: Path) -> None:
    raw = bytearray(manifest(package="com.good.app"))
    start = raw.index(struct.pack("<HH", 0x0102, 16))
    (count,) = struct.unpack_from("<H", raw, start + 16 + 12)
    for number in range(count):
        at = start + 36 + 20 * number
        if raw[at + 15] == axml.STRING:
            struct.pack_into("<I", raw, at + 8, 0)
    assert rejection(tmp_path, with_manifest(bytes(raw))).code == "unreadable_manifest"


def test_attributes_out_of_order_are_refused(tmp_path: Path) -> None:
    raw = bytearray(manifest())
    start = raw.index(struct.pack("<HH", 0x0102, 16), raw.index(struct.pack("<HH", 0x0102, 16)) + 4)
    first, second = start + 36, start + 56
    raw[first:second], raw[second : second + 20] = raw[second : second + 20], raw[first:second]
    assert rejection(tmp_path, with_manifest(bytes(raw))).code == "unreadable_manifest"


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
    assert rejection(tmp_path, apk(package=package)).code == "no_package_id"


def test_a_build_without_a_version_code_is_refused_whatever_is_sent_along(tmp_path: Path) -> None:
    assert rejection(tmp_path, apk(code=None)).code == "no_version_code"
    assert rejection(tmp_path, apk(code=2**63)).code == "no_version_code"


def test_libraries_that_are_not_extracted_must_be_stored(tmp_path: Path) -> None:
    files = {"lib/arm64-v8a/libown.so": b"\x7fELF" * 50}
    build = apk(files=files, application={"extractNativeLibs": False})
    assert rejection(tmp_path, build).code == "packed_libraries"
    assert read_build(tmp_path, apk(files=files, application={"extractNativeLibs": True}))


def test_a_changed_and_signed_manifest_is_read_as_androids_own_tool_reads_it(tmp_path: Path) -> None:
    good, agreed = apk_entries(min_sdk=24, target_sdk=34, permissions=["a.B"])["AndroidManifest.xml"], 0
    for seed in range(400):
        changed = mutated(good, seed) if seed % 2 else flipped_in_elements(good, seed)
        try:
            facts = read_build(tmp_path, with_manifest(changed))
        except Rejected:
            continue
        others = described_by_aapt(tmp_path / "build")
        if others is not None:
            agreed += 1
            assert others == (facts.package_id, facts.version_code, facts.is_debuggable), seed
    assert agreed > 20


def flipped_in_elements(content: bytes, seed: int) -> bytes:
    """Flip one bit in the elements, behind the strings, where it changes the meaning."""
    dice = random.Random(seed)
    return flip_bit(content, dice.randrange(8 + pool_size(content), len(content)), dice.randrange(8))


def described_by_aapt(path: Path) -> tuple[str, int, bool] | None:
    """Return the package, version code and debuggable flag as aapt reads them; None if it finds no version
    code.
    """
    badging = aapt_badging(path)
    found = re.search(r"package: name='([^']*)' versionCode='(\d*)'", badging)
    if found is None or not found[2]:
        return None
    return found[1], int(found[2]), "application-debuggable" in badging
