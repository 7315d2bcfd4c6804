"""A report shows the version that a device runs, before its next check. One update is one completion."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from ota.clock import utcnow
from ota.models import Device, ReleaseDevice, UpdateCompletion
from tests.conftest import Api, drain
from tests.telemetry.given import happened, release_of, report, rows, stages


def runs() -> list[tuple[str, int | None]]:
    return [(each.app_version, each.version_code) for each in rows(Device)]


def completions() -> list[tuple[str, str, bool]]:
    return [(each.from_version, each.to_version, each.is_inferred) for each in rows(UpdateCompletion)]


def complete(api: Api, before: str, after: str) -> None:
    body = {"device_id": "phone", "platform": "android", "from_version": before, "to_version": after}
    assert api.client.post("/api/updates/complete", json=body).status_code == 202


@pytest.mark.parametrize("kind", ["installed", "launch_ok"])
def test_an_installation_shows_the_version_that_a_device_runs(in_app: Flask, api: Api, kind: str) -> None:
    api.published(1, "1.0.0")
    made = api.published(2, "1.1.0")["version"]
    api.check("1.0.0+1", device_id="phone")
    drain(in_app)
    report(in_app, happened(made, kind))
    assert runs() == [("1.1.0+2", 2)]
    assert completions() == [("1.0.0+1", "1.1.0+2", False)]
    assert stages(release_of(made).id)["installed"][0] == 1
    api.check("1.1.0+2", device_id="phone")
    drain(in_app)
    assert completions() == [("1.0.0+1", "1.1.0+2", False)]
    assert [each.left_at for each in rows(ReleaseDevice)] == [None]


def test_old_reports_and_unknown_devices_change_no_version(in_app: Flask, api: Api) -> None:
    old = api.published(1, "1.0.0")["version"]
    made = api.published(2, "1.1.0")["version"]
    api.check("1.0.0+1", device_id="phone")
    drain(in_app)
    before = utcnow() - timedelta(hours=1)
    report(
        in_app,
        happened(made, "installed", at=before, received_at=before),
        happened(made, "crash"),
        happened(made, "installed", "stranger"),
    )
    assert runs() == [("1.0.0+1", 1)]
    report(in_app, happened(made, "installed", number=2), happened(old, "launch_ok"))
    assert runs() == [("1.1.0+2", 2)]


@pytest.mark.parametrize(
    ("before", "after"), [("1.0.0", "1.1.0"), ("1.0.0+1", "1.1.0+2"), ("v1.0.0", "1.1+2")]
)
@pytest.mark.parametrize("order", ["check first", "complete first", "together"])
def test_one_update_is_one_completion_however_it_is_named(
    in_app: Flask, api: Api, before: str, after: str, order: str
) -> None:
    api.published(1, "1.0.0")
    made = api.published(2, "1.1.0")["version"]
    api.check("1.0.0+1", device_id="phone")
    drain(in_app)
    if order == "check first":
        api.check("1.1.0+2", device_id="phone")
        drain(in_app)
    complete(api, before, after)
    if order == "complete first":
        drain(in_app)
        assert runs() == [("1.1.0+2", 2)]
    api.check("1.1.0+2", device_id="phone")
    drain(in_app)
    assert completions() == [("1.0.0+1", "1.1.0+2", False)]
    assert stages(release_of(made).id)["installed"] == (1, 0)


def test_a_device_that_names_no_build_is_named_without_one(in_app: Flask, api: Api) -> None:
    api.published(1, "1.0.0")
    made = api.published(2, "1.1.0")["version"]
    api.check("1.0.0", device_id="phone")
    drain(in_app)
    report(in_app, happened(made, "installed"))
    assert runs() == [("1.1.0", None)]
