"""Facts of a build and its preflight, as pages and the API show them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.builders.packages import apk
from tests.builds.given import library, published
from tests.conftest import Api, csrf_of

pytestmark = pytest.mark.sqlite_suffices


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


def test_the_version_page_shows_the_build_and_what_changed(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    published(api, apk(files=library("arm64-v8a", "x86")))
    made = api.version(
        2, "1.1.0", permissions=["android.permission.CAMERA"], files=library("arm64-v8a"), min_sdk=26
    )
    text = sign_in().get(f"/apps/my-app/versions/{made['id']}").text
    for shown in (
        'class="facts changes"',
        "android.permission.CAMERA",
        "x86",
        "(API 26)",
        "CN=Example",
        "scheme v2",
        "Minimum Android",
    ):
        assert shown in text


def test_the_dialog_shows_the_preflight_and_a_blocked_version_has_no_button(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    made = api.version(application={"debuggable": True})
    browser = sign_in()
    page = browser.get(f"/apps/my-app/versions/{made['id']}/publish")
    assert 'class="check-block"' in page.text
    publish = re.search(r"<button[^>]*data-act=\"Publish\"[^>]*>", page.text)
    assert publish
    assert " disabled " in publish[0]
    assert 'id="preview"' not in page.text
    revision = re.search(r'name="revision" (?:type="hidden" )?value="(\d+)"', page.text)
    assert revision
    answer = browser.post(
        f"/apps/my-app/versions/{made['id']}/publish",
        data={"csrf_token": csrf_of(page), "revision": revision[1], "channel": "stable", "rollout": "100"},
    )
    assert (answer.status_code, 'class="check-block"' in answer.text) == (409, True)


def test_the_label_of_a_package_is_shown_as_text(api: Api, sign_in: Callable[..., FlaskClient]) -> None:
    label = "<img src=x onerror=alert(1)>"
    made = api.version(application={"label": label}, permissions=["<b>bold</b>"])
    text = sign_in().get(f"/apps/my-app/versions/{made['id']}").text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert label not in text
    assert "<b>bold" not in text
