"""Damaged archives are either rejected with a reason or read as the original.

``OTA_MUTATIONS`` sets how many are tried; ``make nightly`` tries 20,000.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from ota.errors import Rejected
from ota.packages import read_here
from tests.builders.arsc import Resource
from tests.builders.axml import Reference
from tests.builders.images import cgbi
from tests.builders.jars import jar
from tests.builders.keys import signer
from tests.builders.packages import apk_entries, archive, ipa
from tests.builders.schemes import By, lineage, signed
from tests.conftest import Api
from tests.packages.mutations import mutated

MUTATIONS = int(os.environ.get("OTA_MUTATIONS", "1000"))
SHARDS = 10
OLD, NEW = signer("Old key"), signer("New key", "EC P-256")


def entries(**build: object) -> dict[str, bytes]:
    resources = [Resource(0x7F010000, "Example"), Resource(0x7F010000, "Beispiel", "de")]
    return apk_entries(
        resources=resources, application={"label": Reference(0x7F010000)}, permissions=["a.B", "c.D"], **build
    )


def v1() -> bytes:
    return archive(jar(entries(min_sdk=21, target_sdk=29), OLD))


def v1_v2_v3() -> bytes:
    by = By(NEW, attributes=[lineage(OLD, NEW)])
    return signed(archive(jar(entries(min_sdk=21), OLD, header="2, 3")), v2=[By(OLD)], v3=[by])


def v2() -> bytes:
    return signed(archive(entries()), v2=[By(OLD)])


def v3_rotated() -> bytes:
    return signed(archive(entries(min_sdk=28)), v3=[By(NEW, attributes=[lineage(OLD, NEW)])])


def apple() -> bytes:
    rows = [[(200, 10, 10, 255)] * 60] * 60
    return ipa(
        files={"AppIcon60x60@2x.png": cgbi(rows)},
        CFBundleIcons={"CFBundlePrimaryIcon": {"CFBundleIconFiles": ["AppIcon60x60"]}},
    )


BUILDS: dict[str, Callable[[], bytes]] = {
    "v1": v1,
    "v2": v2,
    "v3 rotated": v3_rotated,
    "v1 v2 v3": v1_v2_v3,
    "ipa": apple,
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("build", BUILDS)
def test_a_damaged_build_is_refused_or_read_as_what_it_is(build: str, shard: int, tmp_path: Path) -> None:
    content, path = BUILDS[build](), tmp_path / "build"
    path.write_bytes(content)
    whole = read_here(path)
    refused = 0
    for seed in range(shard, MUTATIONS // len(BUILDS), SHARDS):
        path.write_bytes(mutated(content, seed))
        try:
            facts = read_here(path)
        except Rejected as refusal:
            refused += 1
            assert refusal.message.endswith("."), seed  # noqa: PT017  One of two good outcomes.
            continue
        # Bytes that no signature covers can differ (none that is verified here covers an IPA), but never the
        # signer.
        assert facts.signature.signer == whole.signature.signer, seed
        if build != "ipa":
            assert facts == whole, seed
    assert refused > 0
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_builds_through_the_whole_server(app: Flask, api: Api, tmp_path: Path) -> None:
    content = v1_v2_v3()
    for seed in range(40):
        upload = api.upload(mutated(content, seed), f"../../{seed}.apk")
        assert upload["status"] in {"ready", "rejected"}, seed
        if upload["status"] == "rejected":
            assert upload["reason"].endswith("."), seed
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    expected = {"artifacts", "messages", "control"}
    strays = [
        path for path in files if expected.isdisjoint(path.parts) and not path.name.startswith("ota.db")
    ]
    assert strays == []


def test_the_damage_is_the_same_for_the_same_seed() -> None:
    build = v2()
    assert mutated(build, 5) == mutated(build, 5) != build
