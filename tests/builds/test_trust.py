"""What may be published: signers are pinned, the preflight is shown and can't be passed by another door."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ota.core.permissions import Role
from ota.core.platforms import ProfileType
from tests.builders.jars import jar
from tests.builders.keys import Signer, signer
from tests.builders.packages import apk, apk_entries, archive, ipa
from tests.builders.profiles import profile
from tests.builders.schemes import By, lineage, signed
from tests.conftest import EMAILS, Api, csrf_of, drain

pytestmark = pytest.mark.sqlite_suffices

OLD, NEW = signer("Old key"), signer("New key")


def rotated(code: int, *signers: Signer, **build: Any) -> bytes:
    """Signed with v3 by the last of the signers, with the lineage from the first."""
    by = By(signers[-1], attributes=[lineage(*signers)])
    return signed(archive(apk_entries(code=code, min_sdk=28, **build)), v3=[by])


def published(api: Api, content: bytes, name: str = "app.apk") -> dict[str, Any]:
    upload = api.upload(content, name)
    assert upload["status"] == "ready", upload
    answer = api.post(f"/api/versions/{upload['version']['id']}/activate")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json["version"]
    return found


def checks_of(api: Api, version: dict[str, Any]) -> dict[str, dict[str, Any]]:
    listed = api.get(f"/api/versions/{version['id']}/preflight").json["checks"]
    return {check["name"]: check for check in listed}


def test_what_was_read_from_the_file_is_in_the_api(api: Api) -> None:
    made = api.version(
        permissions=["android.permission.CAMERA"], files={"lib/arm64-v8a/libown.so": b"\x7fELF"}
    )
    build = made["build"]
    assert (build["label"], build["min_sdk"], build["target_sdk"], build["abis"]) == (
        "Example",
        24,
        34,
        ["arm64-v8a"],
    )
    assert build["permissions"] == ["android.permission.CAMERA"]
    signature = build["signature"]
    assert (signature["scheme"], signature["signer"]) == ("v2", signature["certificate"]["sha256"])
    assert signature["certificate"]["subject"] == "CN=Example"


def test_an_unsigned_build_is_rejected(api: Api) -> None:
    upload = api.upload(archive(apk_entries()))
    assert (upload["status"], upload["reason_code"]) == ("rejected", "unsigned")


def test_a_build_of_another_signer_is_rejected_with_both_fingerprints(api: Api) -> None:
    published(api, apk(version="1.4.0", by=OLD))
    upload = api.upload(apk(version="1.5.0", code=2, by=NEW))
    assert (upload["status"], upload["reason_code"]) == ("rejected", "other_signer")
    for sha256 in (OLD.sha256, NEW.sha256):
        assert ":".join(re.findall("..", sha256.upper())) in upload["reason"]
    assert "version 1.4.0" in upload["reason"]
    assert "lineage" in upload["reason"]


def test_a_signer_is_pinned_by_publishing_not_by_uploading(api: Api) -> None:
    api.version(by=OLD)
    assert api.upload(apk(code=2, by=NEW))["status"] == "ready"


def test_a_lineage_from_the_old_key_is_taken_and_pins_the_new_one(api: Api) -> None:
    published(api, apk(by=OLD))
    made = published(api, rotated(2, OLD, NEW))
    assert made["build"]["signature"]["lineage"] == [OLD.sha256, NEW.sha256]
    assert api.upload(apk(code=3, by=OLD))["reason_code"] == "other_signer"
    assert api.upload(rotated(4, OLD, NEW))["status"] == "ready"


def test_phones_that_still_have_the_old_key_are_not_forgotten(api: Api) -> None:
    published(api, apk(by=OLD))
    published(api, rotated(2, OLD, NEW))
    upload = api.upload(apk(code=3, min_sdk=28, by=NEW))
    assert (upload["reason_code"], ":".join(re.findall("..", OLD.sha256.upper())) in upload["reason"]) == (
        "other_signer",
        True,
    )


def test_a_signer_whom_only_some_phones_look_at_must_follow_too(api: Api) -> None:
    other = signer("Somebody else")
    published(api, apk(by=OLD, min_sdk=28))
    hidden = signed(
        archive(apk_entries(code=2, min_sdk=28)),
        v3=[By(other, last=32)],
        v31=[By(NEW, first=33, attributes=[lineage(OLD, other, NEW)])],
    )
    assert api.upload(hidden)["reason_code"] in {"other_signer", "bad_signature", "stripped_signature"}


def test_files_elsewhere_can_be_forbidden(api: Api, sign_in: Callable[..., FlaskClient]) -> None:
    allow(sign_in(EMAILS[Role.ADMIN]))
    body = {
        "version": "3.0.0",
        "version_code": 30,
        "platform": "android",
        "download_url": "https://files.example.com/a.apk",
    }
    answer = api.post("/api/updates/publish", {**body, "checksum": "ab" * 32})
    assert (answer.status_code, answer.json["code"]) == (409, "preflight_blocked")
    assert api.get("/api/versions").json["versions"] == []


def test_an_exception_that_has_ended_is_no_reason_to_resume_or_widen(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    browser = sign_in(EMAILS[Role.ADMIN])
    allow(browser, "allows_debuggable")
    made = api.version(application={"debuggable": True})
    release = api.post(f"/api/versions/{made['id']}/releases", {"rollout": 100}).json["release"]
    allow(browser)
    assert (
        api.post(f"/api/releases/{release['id']}/rollout", {"rollout": 200}).json["code"]
        == "preflight_blocked"
    )
    assert api.post(f"/api/releases/{release['id']}/rollout", {"rollout": 50}).status_code == 200
    api.post(f"/api/releases/{release['id']}/pause")
    assert api.post(f"/api/releases/{release['id']}/resume").json["code"] == "preflight_blocked"


def test_a_lineage_that_took_the_right_to_update_from_the_old_key_is_refused(api: Api) -> None:
    published(api, apk(by=OLD))
    by = By(NEW, attributes=[lineage(OLD, NEW, flags=0)])
    upload = api.upload(signed(archive(apk_entries(code=2, min_sdk=28)), v3=[by]))
    assert upload["reason_code"] == "other_signer"


def test_two_signers_are_not_the_same_as_one_of_them(api: Api) -> None:
    published(api, apk(by=OLD))
    both = signed(archive(apk_entries(code=2)), v2=[By(OLD), By(NEW)])
    assert api.upload(both)["reason_code"] == "other_signer"


def test_the_order_of_two_signers_does_not_matter(api: Api) -> None:
    published(api, signed(archive(apk_entries(code=1)), v2=[By(OLD), By(NEW)]))
    assert api.upload(signed(archive(apk_entries(code=2)), v2=[By(NEW), By(OLD)]))["status"] == "ready"


def test_a_block_stops_every_door(api: Api) -> None:
    first, second = api.version(1, by=OLD), api.version(2, "1.1.0", by=NEW)
    api.post(f"/api/versions/{first['id']}/activate")
    assert checks_of(api, second)["signer"]["verdict"] == "block"
    assert api.get(f"/api/versions/{second['id']}/preflight").json["blocked"] is True
    body = {"version": "1.1.0", "version_code": 2, "platform": "android", "checksum": second["checksum"]}
    for path, sent in (
        (f"/api/versions/{second['id']}/activate", None),
        (f"/api/versions/{second['id']}/releases", {"rollout": 100}),
        ("/api/updates/publish", body),
    ):
        answer = api.post(path, sent)
        assert (answer.status_code, answer.json["code"]) == (409, "preflight_blocked"), path
        assert {"name", "verdict", "message"} <= set(answer.json["details"]["checks"][0])
    assert api.check("0.9.0+0")["version_code"] == 1
    assert api.get(f"/api/versions/{second['id']}").json["version"]["is_active"] is False


def test_a_debug_build_is_blocked_until_the_app_allows_it(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    made = api.version(application={"debuggable": True})
    assert checks_of(api, made)["debuggable"]["verdict"] == "block"
    assert api.post(f"/api/versions/{made['id']}/activate").status_code == 409
    allow(sign_in(EMAILS[Role.ADMIN]), "allows_debuggable")
    assert checks_of(api, made)["debuggable"]["verdict"] == "warn"
    assert api.post(f"/api/versions/{made['id']}/activate").status_code == 200


def allow(browser: FlaskClient, *exceptions: str) -> None:
    page = browser.get("/apps/my-app/settings")
    revision = re.search(r'name="revision" (?:type="hidden" )?value="(\d+)"', page.text)
    assert revision
    sent = {"csrf_token": csrf_of(page), "revision": revision[1], **dict.fromkeys(exceptions, "y")}
    assert browser.post("/apps/my-app/trust", data=sent).status_code == 303


def v1_only(min_sdk: int) -> bytes:
    return archive(jar(apk_entries(min_sdk=min_sdk, target_sdk=29), OLD))


def test_v1_alone_is_refused_from_android_7_on_until_the_app_allows_it(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    upload = api.upload(v1_only(24))
    assert (upload["reason_code"], "v2 or newer" in upload["reason"]) == ("v1_only", True)
    allow(sign_in(EMAILS[Role.ADMIN]), "allows_v1_only")
    assert api.upload(v1_only(24))["version"]["build"]["signature"]["scheme"] == "v1"


def test_v1_alone_is_taken_from_apps_for_old_phones(api: Api) -> None:
    assert api.upload(v1_only(21))["status"] == "ready"


def test_a_stale_exception_is_a_conflict(sign_in: Callable[..., FlaskClient]) -> None:
    browser = sign_in(EMAILS[Role.ADMIN])
    page = browser.get("/apps/my-app/settings")
    answer = browser.post(
        "/apps/my-app/trust", data={"csrf_token": csrf_of(page), "revision": "99", "allows_v1_only": "y"}
    )
    assert answer.status_code == 409


def test_an_administrator_can_let_an_app_start_anew(api: Api, sign_in: Callable[..., FlaskClient]) -> None:
    published(api, apk(by=OLD))
    browser = sign_in(EMAILS[Role.ADMIN])
    page = browser.get("/apps/my-app/settings")
    assert OLD.sha256[:10] in page.text
    assert (
        browser.post("/apps/my-app/signer/android/forget", data={"csrf_token": csrf_of(page)}).status_code
        == 303
    )
    assert api.upload(apk(code=2, by=NEW))["status"] == "ready"
    assert (
        browser.post("/apps/my-app/signer/android/forget", data={"csrf_token": csrf_of(page)}).status_code
        == 409
    )
    assert "forgot the signer" in browser.get("/apps/my-app/activity").text


def test_only_administrators_make_exceptions(sign_in: Callable[..., FlaskClient]) -> None:
    browser = sign_in(EMAILS[Role.PUBLISHER])
    page = browser.get("/account")
    for path in ("/apps/my-app/trust", "/apps/my-app/signer/android/forget"):
        assert browser.post(path, data={"csrf_token": csrf_of(page), "revision": "1"}).status_code == 403


def test_an_expired_profile_blocks_and_one_that_ends_soon_warns(api: Api) -> None:
    soon = datetime.now(UTC) + timedelta(days=10)
    for build, expires_at, verdict in (("1", datetime(2020, 1, 1, tzinfo=UTC), "block"), ("2", soon, "warn")):
        made = api.upload(ipa(build=build, profile=profile(expires_at=expires_at)), "app.ipa")["version"]
        check = checks_of(api, made)["profile"]
        assert (check["verdict"], f"{expires_at:%Y-%m-%d}" in check["message"]) == (verdict, True)


def test_a_profile_that_names_devices_says_how_many(api: Api) -> None:
    made = api.upload(ipa(profile=profile(devices=["a" * 40, "b" * 40, "c" * 40])), "app.ipa")["version"]
    assert "3 devices" in checks_of(api, made)["profile"]["message"]


def test_an_enterprise_profile_passes(api: Api) -> None:
    made = api.upload(ipa(profile=profile(kind=ProfileType.ENTERPRISE)), "app.ipa")["version"]
    assert checks_of(api, made)["profile"]["verdict"] == "pass"


def test_another_team_is_another_signer_on_ios(api: Api) -> None:
    published(api, ipa(), "app.ipa")
    upload = api.upload(ipa(build="2", profile=profile(team="OTHERTEAM1")), "app.ipa")
    assert (upload["reason_code"], "OTHERTEAM1" in upload["reason"]) == ("other_signer", True)


def test_a_paused_release_is_not_resumed_after_its_profile_expired(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = api.upload(ipa(profile=profile(expires_at=datetime.now(UTC) + timedelta(days=5))), "app.ipa")[
        "version"
    ]
    release = api.post(f"/api/versions/{made['id']}/activate").json["release"]
    api.post(f"/api/releases/{release['id']}/pause")
    later = datetime.now(UTC) + timedelta(days=6)
    monkeypatch.setattr("ota.web.releases.api.utcnow", lambda: later)
    answer = api.post(f"/api/releases/{release['id']}/resume")
    assert (answer.status_code, answer.json["code"]) == (409, "preflight_blocked")


def test_a_file_that_lives_elsewhere_was_never_read_and_says_so(api: Api) -> None:
    body = {
        "version": "3.0.0",
        "version_code": 30,
        "platform": "android",
        "download_url": "https://files.example.com/a.apk",
        "checksum": "ab" * 32,
    }
    made = api.post("/api/updates/publish", body).json["version"]
    assert made["build"] is None
    assert checks_of(api, made)["signature"]["verdict"] == "warn"


def seen(app: Flask, api: Api, number: int, **said: Any) -> None:
    """So many devices ask, which say the same of themselves."""
    for each in range(number):
        api.check("1.0.0+1", device_id=f"device {each} {said}", **said)
    drain(app)


def library(*abis: str) -> dict[str, bytes]:
    return {f"lib/{abi}/libown.so": b"\x7fELF" for abi in abis}


def test_devices_that_a_higher_minimum_leaves_behind_are_counted(app: Flask, api: Api) -> None:
    published(api, apk(min_sdk=24))
    seen(app, api, 3, sdk=25)
    seen(app, api, 2, sdk=30)
    seen(app, api, 4)
    made = api.version(2, "1.1.0", min_sdk=26)
    check = checks_of(api, made)["min_sdk"]
    assert (check["verdict"], check["devices"]) == ("warn", 3)
    assert "3 of 9 active devices would be left behind (4 did not say)" in check["message"]


def test_devices_without_code_for_their_processor_are_counted(app: Flask, api: Api) -> None:
    published(api, apk(files=library("arm64-v8a", "armeabi-v7a")))
    seen(app, api, 2, abis=["armeabi-v7a", "armeabi"])
    seen(app, api, 5, abis=["arm64-v8a", "armeabi-v7a"])
    made = api.version(2, "1.1.0", files=library("arm64-v8a"))
    seen(app, api, 3, sdk=34)
    check = checks_of(api, made)["abis"]
    assert (check["verdict"], check["devices"], "armeabi-v7a" in check["message"]) == ("warn", 2, True)
    assert "2 of 10 active devices would be left behind (3 did not say)" in check["message"]


def test_iphones_below_a_higher_minimum_are_counted(app: Flask, api: Api) -> None:
    published(api, ipa(), "app.ipa")
    seen(app, api, 2, platform="ios", os_version="15.8")
    for version in ("16", "16.0", "16.0.1"):
        seen(app, api, 1, platform="ios", os_version=version)
    made = api.upload(ipa(build="2", MinimumOSVersion="16.0"), "app.ipa")["version"]
    assert checks_of(api, made)["minimum_os"]["devices"] == 2


def test_a_lower_code_than_devices_run_is_warned_about(app: Flask, api: Api) -> None:
    api.check("9.0.0+90", device_id="ahead")
    drain(app)
    check = checks_of(api, api.version(5))["version_code"]
    assert (check["verdict"], check["devices"]) == ("warn", 1)


def test_a_device_is_counted_once_and_by_what_it_said_last(app: Flask, api: Api) -> None:
    published(api, apk(min_sdk=24))
    for sdk, is_written in ((25, True), (25, True), (30, False), (None, True), (None, True)):
        api.check("1.0.0+1", device_id="the same", **({} if sdk is None else {"sdk": sdk}))
        if is_written:
            drain(app)
    check = checks_of(api, api.version(2, "1.1.0", min_sdk=26))["min_sdk"]
    assert "0 of 1 active devices" in check["message"]


def test_a_devices_id_is_not_kept(app: Flask, api: Api) -> None:
    from ota.db import reader
    from ota.models import Device

    published(api, apk())
    api.check("1.0.0+1", device_id="a phone of somebody")
    with app.app_context():
        drain(app)
        kept = reader().query(Device).one()
        assert re.fullmatch("[0-9a-f]{64}", kept.device_hash)
        assert "somebody" not in repr(vars(kept))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sdk", 0),
        ("sdk", "34"),
        ("sdk", 10**9),
        ("os_version", "17.2; drop"),
        ("os_version", "1" * 30),
        ("os_version", "17\n"),
        ("abis", "arm"),
        ("abis", ["a b"]),
        ("abis", ["x"] * 9),
        ("abis", [1]),
    ],
)
def test_a_device_that_describes_itself_wrongly_is_told_which_field(api: Api, field: str, value: Any) -> None:
    body = {"platform": "android", "current_version": "1.0.0+1", field: value}
    answer = api.client.post("/api/updates/check", json=body)
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_field")
    assert answer.json["details"]["field"].startswith(field)


def test_the_version_page_shows_the_build_and_what_changed(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    published(api, apk(files=library("arm64-v8a", "x86")))
    made = api.version(
        2, "1.1.0", permissions=["android.permission.CAMERA"], files=library("arm64-v8a"), min_sdk=26
    )
    text = sign_in().get(f"/apps/my-app/versions/{made['id']}").text
    for words in (
        "What changed since",
        "android.permission.CAMERA",
        "x86",
        "Android 8.0 (API 26)",
        "CN=Example",
        "scheme v2",
        "Minimum Android",
    ):
        assert words in text


def test_the_dialog_shows_the_preflight_and_a_blocked_version_has_no_button(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    made = api.version(application={"debuggable": True})
    browser = sign_in()
    page = browser.get(f"/apps/my-app/versions/{made['id']}/publish")
    assert "Build it for release" in page.text
    publish = re.search(r"<button[^>]*data-act=\"Publish\"[^>]*>", page.text)
    assert publish
    assert " disabled " in publish[0]
    assert "can&#39;t be published" in page.text or "can't be published" in page.text
    assert 'id="preview"' not in page.text
    revision = re.search(r'name="revision" (?:type="hidden" )?value="(\d+)"', page.text)
    assert revision
    answer = browser.post(
        f"/apps/my-app/versions/{made['id']}/publish",
        data={"csrf_token": csrf_of(page), "revision": revision[1], "channel": "stable", "rollout": "100"},
    )
    assert answer.status_code == 409
    assert "can&#39;t be published" in answer.text


def test_nobody_is_asked_to_approve_what_the_preflight_blocks(api: Api) -> None:
    admin = Api(api.app, Role.ADMIN)
    stable = admin.get("/api/channels").json["channels"][0]
    admin.patch(f"/api/channels/{stable['id']}", {"approval_above": 100})
    made = api.version(application={"debuggable": True})
    answer = api.post(f"/api/versions/{made['id']}/releases", {})
    assert (answer.status_code, answer.json["code"]) == (409, "preflight_blocked")
    assert api.get("/api/proposals").json["proposals"] == []


def test_what_a_package_calls_itself_is_shown_as_text(api: Api, sign_in: Callable[..., FlaskClient]) -> None:
    label = "<img src=x onerror=alert(1)>"
    made = api.version(application={"label": label}, permissions=["<b>bold</b>"])
    text = sign_in().get(f"/apps/my-app/versions/{made['id']}").text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert label not in text
    assert "<b>bold" not in text
