"""Uploads by API: accepted files, rejected files, and nothing left behind in the quarantine."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask

from ota.apps import apps
from ota.builds.worker import process
from ota.clock import utcnow
from ota.config import Settings
from ota.core.permissions import Role
from ota.db import transaction
from ota.history.audit import SYSTEM
from tests.builders.packages import apk, archive, ipa, manifest
from tests.conftest import Api, bearer

pytestmark = pytest.mark.sqlite_suffices


def incoming(settings: Settings) -> list[str]:
    """The names of the files in the quarantine."""
    return sorted(path.name for path in settings.incoming_path.iterdir())


def artifacts(settings: Settings) -> list[Path]:
    """The files in the store."""
    return [path for path in (settings.storage_path / "artifacts").rglob("*") if path.is_file()]


def test_an_apk_becomes_an_inactive_version(api: Api, settings: Settings) -> None:
    upload = api.upload(apk("com.example.app", "1.2.3", 7), release_notes="Fixed login", is_mandatory="true")
    version = upload["version"]
    assert (upload["status"], upload["reason"]) == ("ready", None)
    assert (version["version"], version["version_code"], version["platform"]) == ("1.2.3", 7, "android")
    assert (version["package_id"], version["is_active"], version["published_at"]) == (
        "com.example.app",
        False,
        None,
    )
    assert (version["release_notes"], version["is_mandatory"]) == ("Fixed login", True)
    assert incoming(settings) == []
    assert [path.name for path in artifacts(settings)] == [version["checksum"]]


def test_an_ipa_becomes_an_inactive_version(api: Api) -> None:
    version = api.upload(ipa("com.example.app", "2.0.0", "12"), "app.ipa")["version"]
    assert (version["platform"], version["version"], version["version_code"]) == ("ios", "2.0.0", 12)


def test_an_upload_is_answered_before_anything_is_read(api: Api) -> None:
    answer = api.send(b"not a package at all")
    assert answer.status_code == 202
    assert answer.json["upload"]["status"] == "received"
    assert answer.json["upload"]["status_url"].endswith(f"/api/uploads/{answer.json['upload']['id']}")


def test_a_64_bit_version_code_is_read(api: Api) -> None:
    assert api.version(code=(3 << 32) | 9)["version_code"] == (3 << 32) | 9


@pytest.mark.parametrize(
    ("content", "name", "code", "word"),
    [
        (b"just a text", "app.apk", "not_a_package", "ZIP"),
        (apk()[:300], "app.apk", "damaged_archive", "damaged"),
        (apk()[:-30], "app.apk", "damaged_archive", "damaged"),
        (archive({"readme.txt": b"hello"}), "app.apk", "not_a_package", "APK"),
        (archive({"AndroidManifest.xml": b"<manifest/>"}), "app.apk", "unreadable_manifest", "read"),
        (
            archive({"AndroidManifest.xml": manifest(package=None)}),
            "app.apk",
            "no_package_id",
            "package",
        ),
        (
            archive({"base/manifest/AndroidManifest.xml": b"x", "BundleConfig.pb": b""}),
            "app.aab",
            "app_bundle",
            "App Bundle",
        ),
        (archive({"base.apk": b"x", "toc.pb": b""}), "app.apks", "split_apks", "universal"),
        (
            archive({"Payload/A.app/Info.plist": b"nonsense"}),
            "app.ipa",
            "unreadable_info_plist",
            "read",
        ),
        (ipa(build="1.2.3"), "app.ipa", "no_version_code", "whole number"),
        (apk(version=None), "app.apk", "no_version", "version"),
        (apk(version="9" * 60), "app.apk", "bad_version", "50"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_file_is_rejected_with_a_reason(
    api: Api, settings: Settings, content: bytes, name: str, code: str, word: str
) -> None:
    upload = api.upload(content, name)
    assert (upload["status"], upload["reason_code"], upload["version"]) == ("rejected", code, None)
    assert word in upload["reason"]
    assert incoming(settings) == []
    assert artifacts(settings) == []


def test_every_truncation_of_an_apk_is_rejected_and_never_kept(api: Api, settings: Settings) -> None:
    whole = apk()
    for length in range(4, len(whole), max(1, len(whole) // 25)):
        assert api.upload(whole[:length])["status"] == "rejected"
    assert incoming(settings) == []


def test_a_huge_manifest_is_not_inflated_to_its_end(api: Api) -> None:
    assert (
        api.upload(archive({"AndroidManifest.xml": b"\0" * 50_000_000}))["reason_code"] == "entry_too_large"
    )


def test_a_field_fills_what_the_file_lacks(api: Api) -> None:
    upload = api.upload(ipa(build="1.2.3"), "app.ipa", version_code="45")
    assert upload["version"]["version_code"] == 45


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("version", "9.9.9", ("9.9.9", "1.0.0")),
        ("version_code", "44", ("44", "1")),
        ("platform", "ios", ("ios", "android")),
    ],
)
def test_a_contradiction_names_both_values(api: Api, field: str, value: str, words: tuple[str, str]) -> None:
    upload = api.upload(apk(), **{field: value})
    assert upload["reason_code"] == "contradiction"
    assert all(word in upload["reason"] for word in words)


def test_the_same_bytes_again_are_the_same_version(api: Api) -> None:
    first, second = api.upload(apk()), api.upload(apk())
    assert second["status"] == "ready"
    assert first["version"]["id"] == second["version"]["id"]


def test_other_bytes_with_a_taken_code_are_rejected_naming_the_version(api: Api) -> None:
    api.version(4, "1.4.0")
    upload = api.upload(apk(version="1.4.1", code=4, content=b"other"))
    assert upload["reason_code"] == "version_code_taken"
    assert "1.4.0" in upload["reason"]


def test_a_build_of_another_package_is_rejected_with_both_ids(api: Api) -> None:
    api.version()
    upload = api.upload(apk("com.other.app", code=9), app="my-app")
    assert upload["reason_code"] == "other_package"
    assert "com.example.app" in upload["reason"]
    assert "com.other.app" in upload["reason"]


def test_a_build_finds_its_app_by_its_package(app: Flask, api: Api) -> None:
    with app.app_context(), transaction() as session:
        apps.create(session, SYSTEM, slug="other", name="Other", now=utcnow())
    api.version()
    assert api.upload(apk("com.other.app"))["reason_code"] == "unknown_package"
    assert api.upload(apk("com.other.app"), app="other")["version"]["app"] == "other"
    assert api.upload(apk("com.other.app", code=2))["version"]["app"] == "other"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"app": "nowhere"}, 404, "unknown_app"),
        ({"platform": "windows"}, 400, "unknown_platform"),
        ({"version_code": "-1"}, 400, "invalid_field"),
        ({"version_code": "9223372036854775808"}, 400, "invalid_field"),
        ({"version_code": "two"}, 400, "invalid_field"),
        ({"is_mandatory": "perhaps"}, 400, "invalid_field"),
        ({"min_supported_version": "banana"}, 400, "bad_min_supported_version"),
        ({"app": "my-app", "channel": "nowhere"}, 404, "unknown_channel"),
        ({"colour": "red"}, 400, "unknown_field"),
        ({"release_notes": "x" * 30_000}, 400, "notes_too_long"),
        ({"release_notes": "a\0b"}, 400, "invalid_text"),
    ],
)
def test_a_wrong_field_is_refused_at_once_and_nothing_is_kept(
    api: Api, settings: Settings, fields: dict[str, str], status: int, code: str
) -> None:
    answer = api.send(apk(), **fields)
    assert (answer.status_code, answer.json["code"], answer.json["ok"]) == (status, code, False)
    assert incoming(settings) == []


def test_an_empty_file_is_refused(api: Api, settings: Settings) -> None:
    answer = api.send(b"")
    assert (answer.status_code, answer.json["code"]) == (400, "empty_file")
    assert incoming(settings) == []


@pytest.mark.parametrize("kind", ["nothing", "a text", "another field"])
def test_a_form_without_a_file_is_refused(api: Api, settings: Settings, kind: str) -> None:
    data = {
        "nothing": {},
        "a text": {"file": "text"},
        "another field": {"other": (io.BytesIO(b"x"), "a.apk")},
    }[kind]
    answer = api.client.post("/api/uploads", data=data, headers=bearer(), content_type="multipart/form-data")
    assert (answer.status_code, answer.json["code"]) == (400, "missing_file")
    assert incoming(settings) == []


def test_a_body_that_ends_too_early_leaves_nothing_behind(api: Api, settings: Settings) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.apk"\r\n\r\n' + b"y" * 5_000
    answer = api.client.post(
        "/api/uploads", data=body, headers=bearer(), content_type="multipart/form-data; boundary=x"
    )
    assert (answer.status_code, answer.json["code"]) == (400, "missing_file")
    assert incoming(settings) == []


def test_a_client_file_name_is_only_text(api: Api, settings: Settings) -> None:
    upload = api.upload(apk(), "../../etc/<b>passwd\u202e.apk")
    assert upload["file_name"] == "<b>passwd.apk"
    assert [len(path.name) for path in artifacts(settings)] == [64]


def test_a_viewer_may_follow_but_not_upload(app: Flask, api: Api) -> None:
    viewer = Api(app, Role.VIEWER)
    upload_id = api.send(apk()).json["upload"]["id"]
    assert viewer.get(f"/api/uploads/{upload_id}").status_code == 200
    assert viewer.send(apk()).status_code == 403


def test_an_unknown_upload_is_not_found(api: Api) -> None:
    assert api.get("/api/uploads/nothing").json["code"] == "unknown_upload"


def test_a_refused_build_leaves_no_bytes_in_the_store(api: Api, settings: Settings) -> None:
    api.version(4, "1.4.0")
    kept = artifacts(settings)
    for build, fields in (
        (apk(code=4, content=b"other"), {}),
        (apk("com.other.app", code=9), {}),
        (apk(code=5), {"channel": "nowhere"}),
    ):
        assert api.upload(build, **fields)["status"] == "rejected"
    assert artifacts(settings) == kept


def test_the_same_file_processed_twice_at_once_is_one_version(app: Flask, api: Api) -> None:
    for code in range(1, 5):
        ids = [api.send(apk(code=code)).json["upload"]["id"] for _ in range(4)]

        def work(upload_id: str) -> None:
            with app.app_context():
                process(app, upload_id)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, ids))
        uploads = [api.get(f"/api/uploads/{upload_id}").json["upload"] for upload_id in ids]
        assert [upload["status"] for upload in uploads] == ["ready"] * 4, uploads
        assert len({upload["version"]["id"] for upload in uploads}) == 1


def test_two_first_builds_of_two_packages_leave_one_pinned(app: Flask, api: Api) -> None:
    ids = [
        api.send(apk(package, code=code)).json["upload"]["id"]
        for code, package in enumerate(("com.a.a", "com.b.b"), 1)
    ]

    def work(upload_id: str) -> None:
        with app.app_context():
            process(app, upload_id)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ids))
    statuses = sorted(api.get(f"/api/uploads/{upload_id}").json["upload"]["status"] for upload_id in ids)
    assert statuses == ["ready", "rejected"]


def test_an_upload_that_is_no_form_is_refused(api: Api) -> None:
    answer = api.client.post(
        "/api/uploads", data=apk(), headers=bearer(), content_type="application/octet-stream"
    )
    assert (answer.status_code, answer.json["code"]) == (415, "wrong_content_type")
