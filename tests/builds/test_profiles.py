"""Provisioning profiles in the preflight: expiry, devices, kinds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ota.core.platforms import ProfileType
from tests.builders.packages import ipa
from tests.builders.profiles import profile
from tests.builds.given import checks_of
from tests.conftest import Api

pytestmark = pytest.mark.sqlite_suffices


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
