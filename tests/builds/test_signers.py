"""Signers: pinned by publishing, and only followed by builds that phones would install."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from ota.core.permissions import Role
from tests.builders.jars import jar
from tests.builders.keys import signer
from tests.builders.packages import apk, apk_entries, archive, ipa
from tests.builders.profiles import profile
from tests.builders.schemes import By, lineage, signed
from tests.builds.given import NEW, OLD, allow, published, rotated
from tests.conftest import EMAILS, Api, csrf_of

pytestmark = pytest.mark.sqlite_suffices


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


def test_a_signer_must_also_follow_the_old_key_that_some_phones_still_have(api: Api) -> None:
    published(api, apk(by=OLD))
    published(api, rotated(2, OLD, NEW))
    upload = api.upload(apk(code=3, min_sdk=28, by=NEW))
    assert (upload["reason_code"], ":".join(re.findall("..", OLD.sha256.upper())) in upload["reason"]) == (
        "other_signer",
        True,
    )


def test_a_signer_that_only_some_phones_see_must_follow_too(api: Api) -> None:
    other = signer("Somebody else")
    published(api, apk(by=OLD, min_sdk=28))
    hidden = signed(
        archive(apk_entries(code=2, min_sdk=28)),
        v3=[By(other, last=32)],
        v31=[By(NEW, first=33, attributes=[lineage(OLD, other, NEW)])],
    )
    assert api.upload(hidden)["reason_code"] in {"other_signer", "bad_signature", "stripped_signature"}


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


def test_an_administrator_can_make_an_app_forget_its_signer(
    api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
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


def test_another_team_is_another_signer_on_ios(api: Api) -> None:
    published(api, ipa(), "app.ipa")
    upload = api.upload(ipa(build="2", profile=profile(team="OTHERTEAM1")), "app.ipa")
    assert (upload["reason_code"], "OTHERTEAM1" in upload["reason"]) == ("other_signer", True)
