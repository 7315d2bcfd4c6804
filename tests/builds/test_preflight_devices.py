"""The preflight counts the active devices that a version would leave behind."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from ota.db import reader
from ota.models import Device
from tests.builders.packages import apk, ipa
from tests.builds.given import checks_of, library, published
from tests.conftest import Api, drain

pytestmark = pytest.mark.sqlite_suffices


def seen(app: Flask, api: Api, number: int, **sent: Any) -> None:
    """Count checks of this many devices, which all send the same fields."""
    for each in range(number):
        api.check("1.0.0+1", device_id=f"device {each} {sent}", **sent)
    drain(app)


def test_devices_that_a_higher_minimum_leaves_behind_are_counted(app: Flask, api: Api) -> None:
    published(api, apk(min_sdk=24))
    seen(app, api, 3, sdk=25)
    seen(app, api, 2, sdk=30)
    seen(app, api, 4)
    made = api.version(2, "1.1.0", min_sdk=26)
    check = checks_of(api, made)["min_sdk"]
    assert (check["verdict"], check["devices"]) == ("warn", 3)
    assert "3 of 9 " in check["message"]
    assert "(4 did not say)" in check["message"]


def test_devices_without_code_for_their_processor_are_counted(app: Flask, api: Api) -> None:
    published(api, apk(files=library("arm64-v8a", "armeabi-v7a")))
    seen(app, api, 2, abis=["armeabi-v7a", "armeabi"])
    seen(app, api, 5, abis=["arm64-v8a", "armeabi-v7a"])
    made = api.version(2, "1.1.0", files=library("arm64-v8a"))
    seen(app, api, 3, sdk=34)
    check = checks_of(api, made)["abis"]
    assert (check["verdict"], check["devices"], "armeabi-v7a" in check["message"]) == ("warn", 2, True)
    assert "2 of 10 " in check["message"]
    assert "(3 did not say)" in check["message"]


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


def test_a_device_is_counted_once_and_by_its_latest_check(app: Flask, api: Api) -> None:
    published(api, apk(min_sdk=24))
    for sdk, is_written in ((25, True), (25, True), (30, False), (None, True), (None, True)):
        api.check("1.0.0+1", device_id="the same", **({} if sdk is None else {"sdk": sdk}))
        if is_written:
            drain(app)
    check = checks_of(api, api.version(2, "1.1.0", min_sdk=26))["min_sdk"]
    assert "0 of 1 " in check["message"]


def test_a_devices_id_is_not_kept(app: Flask, api: Api) -> None:
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
def test_an_error_about_a_device_names_the_malformed_field(api: Api, field: str, value: Any) -> None:
    body = {"platform": "android", "current_version": "1.0.0+1", field: value}
    answer = api.client.post("/api/updates/check", json=body)
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_field")
    assert answer.json["details"]["field"].startswith(field)
