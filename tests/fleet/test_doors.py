"""The doors of release health, its policy and the fleet."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from ota.clock import utcnow
from ota.core.permissions import Role
from ota.db import reader, transaction
from ota.models import Adoption, App, CheckCount, FailureCount, FailureSignature, ReleaseCount, ReleaseDevice
from ota.releases import watch
from ota.web import charts
from tests.conftest import EMAILS, Api, csrf_of


@pytest.fixture
def release(app: Flask, api: Api) -> int:
    """Publish a release that started a day ago, with devices that failed on it. Return its id."""
    made = api.published(2, "1.1.0")
    found: int = made["release"]["id"]
    start = utcnow() - timedelta(hours=20)
    with app.app_context():
        with transaction() as session:
            session.connection().exec_driver_sql(
                f"UPDATE releases SET starts_at = '{start - timedelta(hours=1)}'"
            )
            for number in range(40):
                session.add(
                    ReleaseDevice(
                        release_id=found,
                        device_id=f"{number:064}",
                        is_control=False,
                        version_code=2,
                        enrolled_at=start + timedelta(minutes=number),
                        failed_at=start + timedelta(hours=2) if number in (10, 20, 30) else None,
                    )
                )
            session.add(ReleaseCount(release_id=found, hour=start, stage="offered", devices=40, events=90))
            signature = FailureSignature(
                version_id=made["version"]["id"],
                kind="crash",
                signature="<b>NullPointer</b> in start",
                devices=3,
                sample="at <script>",
                events=5,
                first_at=start,
                last_at=start,
            )
            session.add(signature)
            session.flush()
            session.add(FailureCount(signature_id=signature.id, day=start.date(), devices=3, events=5))
        with transaction() as session:
            watch.evaluate(session, found, now=utcnow())
    return found


def test_the_health_of_a_release_is_told_with_its_interval_and_its_curve(api: Api, release: int) -> None:
    found = Api(api.app, Role.VIEWER).get(f"/api/releases/{release}/health").json
    assert found["funnel"] == {"offered": 40, "downloaded": 0, "installed": 0, "healthy": 0, "failed": 0}
    test = found["test"]
    assert (test["rollout"]["devices"], test["rollout"]["total"], test["control"], test["is_bad"]) == (
        3,
        40,
        None,
        False,
    )
    assert test["rollout"]["low"] < 0.075 < test["rollout"]["high"]
    assert test["curve"][0]["evidence"] == 1
    assert found["failures"][0]["signature"] == "<b>NullPointer</b> in start"
    assert api.get("/api/releases/999/health").status_code == 404


def test_the_page_of_a_release_shows_it_and_escapes_what_devices_say(
    release: int, sign_in: Callable[..., FlaskClient]
) -> None:
    page = sign_in().get(f"/apps/my-app/releases/{release}").text
    assert "3 of 40 devices failed" in page
    assert "enough to call it bad: 200" in page
    assert "&lt;b&gt;NullPointer" in page
    assert "<b>NullPointer" not in page
    assert "style=" not in page


def test_administrators_choose_the_health_policy_by_program(app: Flask, api: Api) -> None:
    admin = Api(app, Role.ADMIN)
    path = "/api/apps/my-app/health-policy"
    assert api.get(path).json["policy"]["revision"] == 0
    assert api.patch(path, {"alpha": 0.05}).status_code == 403
    answer = admin.patch(path, {"alpha": 0.05, "action": "roll_back", "revision": 0})
    assert (
        answer.json["policy"]["alpha"],
        answer.json["policy"]["window_hours"],
        answer.json["policy"]["revision"],
    ) == (0.05, 24, 1)
    assert "at most 5 " in answer.json["message"]
    stale = admin.patch(path, {"alpha": 0.02, "revision": 0})
    assert (stale.status_code, stale.json["current"]["alpha"]) == (409, 0.05)
    wrong = admin.patch(path, {"alpha": 0.9})
    assert (wrong.status_code, wrong.json["code"]) == (400, "bad_policy")


def test_the_form_of_the_policy_comes_back_with_both_states(sign_in: Callable[..., FlaskClient]) -> None:
    browser = sign_in(EMAILS[Role.ADMIN])
    path = "/apps/my-app/health-policy"
    page = browser.get(path)
    assert "at most 1 " in page.text
    typed: dict[str, Any] = {
        "csrf_token": csrf_of(page),
        "revision": "0",
        "action": "notify",
        "alpha": "2,5",
        "tolerated_ratio": "2",
        "acceptable_rate": "3",
        "window_hours": "48",
        "min_failing_devices": "4",
        "min_reports": "10",
        "silence_hours": "24",
    }
    assert browser.post(path, data={**typed, "window_hours": "0"}).status_code == 422
    assert browser.post(path, data={**typed, "alpha": "60"}).status_code == 422
    assert browser.post(path, data=typed).status_code == 303
    again = browser.post(path, data={**typed, "alpha": "7"})
    assert again.status_code == 409
    assert "notify, 2.5 % by chance, 2 times the control" in again.text
    assert "silence after 24 h" in again.text
    assert 'value="7"' in again.text


def test_wrong_fields_of_the_policy_are_all_named_at_once(sign_in: Callable[..., FlaskClient]) -> None:
    browser = sign_in(EMAILS[Role.ADMIN])
    path = "/apps/my-app/health-policy"
    typed: dict[str, Any] = {
        "csrf_token": csrf_of(browser.get(path)),
        "revision": "0",
        "action": "halt",
        "alpha": "sNaN",
        "tolerated_ratio": "Infinity",
        "acceptable_rate": "0.00001",
        "window_hours": "x",
        "min_failing_devices": "0",
        "min_reports": "-1",
        "silence_hours": "721",
    }
    answer = browser.post(path, data=typed)
    assert (answer.status_code, answer.text.count('aria-invalid="true"')) == (422, 7)
    assert answer.text.count('class="wrong"') == 7
    for said in (
        "Expected a number, such as 12.5.",
        "Expected 0.0001 to 50 percent.",
        "Expected 1 to 1000000 devices.",
    ):
        assert said in answer.text, said


def test_what_was_chosen_by_program_can_be_saved_in_the_form(
    app: Flask, sign_in: Callable[..., FlaskClient]
) -> None:
    admin, browser = Api(app, Role.ADMIN), sign_in(EMAILS[Role.ADMIN])
    path, chosen = (
        "/apps/my-app/health-policy",
        {"alpha": 0.000001, "acceptable_rate": 0.00125, "tolerated_ratio": 1.12345678},
    )
    assert admin.patch(f"/api{path}", chosen).status_code == 200
    page = browser.get(path)
    for shown in ('value="0.0001"', 'value="0.125"', 'value="1.12345678"'):
        assert shown in page.text, shown
    typed = {
        "csrf_token": csrf_of(page),
        "revision": "1",
        "action": "halt",
        "alpha": "0,0001",
        "tolerated_ratio": "1,12345678",
        "acceptable_rate": "0,125",
        "window_hours": "24",
        "min_failing_devices": "3",
        "min_reports": "0",
        "silence_hours": "0",
    }
    assert browser.post(path, data=typed).status_code == 303
    policy = admin.get(f"/api{path}").json["policy"]
    assert (policy["revision"], {name: policy[name] for name in chosen}) == (2, chosen)


def test_an_app_may_keep_nothing_about_single_devices(
    app: Flask, api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    browser = sign_in(EMAILS[Role.ADMIN])
    page = browser.get("/apps/my-app/settings")
    sent = {"csrf_token": csrf_of(page), "revision": "1", "keeps_nothing": "y"}
    assert browser.post("/apps/my-app/keeping", data=sent).status_code == 303
    assert browser.post("/apps/my-app/keeping", data=sent).status_code == 409
    with app.app_context():
        assert not reader().get_one(App, 1).keeps_devices
    assert "changed what is kept of single devices" in browser.get("/apps/my-app/activity").text


def test_the_fleet_is_told_for_one_platform_and_escaped(
    app: Flask, sign_in: Callable[..., FlaskClient]
) -> None:
    day = utcnow().date()
    with app.app_context(), transaction() as session:
        for platform, version, devices in (
            ("android", "1.0.0", 1234),
            ("android", "=<i>", 3),
            ("ios", "9.9.9", 77),
        ):
            session.add(Adoption(app_id=1, platform=platform, day=day, app_version=version, devices=devices))
    browser = sign_in(EMAILS[Role.VIEWER])
    page = browser.get("/apps/my-app/fleet?days=30").text
    assert "1,234" in page
    assert "=&lt;i&gt;" in page
    assert "9.9.9" not in page
    assert "style=" not in page
    assert "9.9.9" in browser.get("/apps/my-app/fleet?platform=ios").text
    exported = browser.get("/apps/my-app/fleet.csv?days=1")
    assert exported.text.splitlines() == ["day,version,devices", f"{day},1.0.0,1234", f"{day},'=<i>,3"]
    assert exported.headers["Content-Disposition"] == 'attachment; filename="my-app-adoption-android-1d.csv"'


def test_each_chart_of_the_fleet_is_a_table_for_a_spreadsheet(
    app: Flask, release: int, sign_in: Callable[..., FlaskClient]
) -> None:
    hour = utcnow().replace(minute=0, second=0, microsecond=0)
    with app.app_context(), transaction() as session:
        session.add(Adoption(app_id=1, platform="android", day=hour.date(), app_version="1.0.0+1", devices=5))
        session.add(
            CheckCount(
                channel_id=1,
                platform="android",
                hour=hour,
                release_id=0,
                reason="up_to_date",
                app_id=1,
                checks=9,
            )
        )
        signature = session.scalars(select(FailureSignature)).one()
        signature.signature, seen = '=cmd|"x"', f"{signature.last_at:%Y-%m-%dT%H:%MZ}"
    browser = sign_in(EMAILS[Role.VIEWER])
    rows = {
        chart: browser.get(f"/apps/my-app/fleet.csv?days=1&chart={chart}").text.splitlines()
        for chart in ("adoption", "running", "checks", "failures")
    }
    assert rows == {
        "adoption": ["day,version,devices", f"{hour:%Y-%m-%d},1.0.0+1,5"],
        "running": ["version,devices", "1.0.0+1,5"],
        "checks": ["from,reason,checks", f"{hour:%Y-%m-%dT%H:00Z},up_to_date,9"],
        "failures": [
            "version,version_code,kind,signature,devices,events,last_at",
            f"""1.1.0,2,crash,"'=cmd|""x""\",3,5,{seen}""",
        ],
    }
    wrong = browser.get("/apps/my-app/fleet.csv?chart=everything")
    assert (wrong.status_code, "adoption, running, checks, failures" in wrong.text) == (400, True)


def test_the_fleet_by_program_has_the_numbers_of_the_page(app: Flask, api: Api, release: int) -> None:
    day, viewer = utcnow().date(), Api(app, Role.VIEWER)
    with app.app_context(), transaction() as session:
        for ago, devices in ((0, 5), (1, 4), (40, 3)):
            session.add(
                Adoption(
                    app_id=1,
                    platform="android",
                    day=day - timedelta(days=ago),
                    app_version="1.0.0+1",
                    devices=devices,
                )
            )
    found = viewer.get("/api/apps/my-app/fleet").json
    assert (found["platform"], found["days"], found["counted_on"], found["running"]) == (
        "android",
        7,
        f"{day}",
        [{"version": "1.0.0+1", "devices": 5}],
    )
    assert [point["devices"] for point in found["adoption"]] == [4, 5]
    assert [point["devices"] for point in viewer.get("/api/apps/my-app/fleet?days=90").json["adoption"]] == [
        3,
        4,
        5,
    ]
    assert [point["devices"] for point in viewer.get("/api/apps/my-app/fleet?days=1").json["adoption"]] == [5]
    assert (found["unseen"], found["failures"][0]["devices"]) == ({"7": 0, "30": 0}, 3)
    other = viewer.get("/api/apps/my-app/fleet?platform=ios").json
    assert (other["counted_on"], other["running"], other["known"]) == (None, [], 0)
    for wrong, status in (("days=0", 400), ("days=91", 400), ("days=x", 400), ("platform=windows", 400)):
        assert viewer.get(f"/api/apps/my-app/fleet?{wrong}").status_code == status, wrong
    assert viewer.get("/api/apps/nobodys/fleet").status_code == 404


def test_what_fails_is_counted_over_the_time_that_is_asked_about(
    app: Flask, api: Api, sign_in: Callable[..., FlaskClient]
) -> None:
    version_id, now = api.published(2, "1.1.0")["version"]["id"], utcnow()
    days = {"old": {40: 9, 2: 1}, "new": {0: 2}, **{f"rare {n}": {0: 1} for n in range(12)}}
    with app.app_context(), transaction() as session:
        for name, counts in days.items():
            signature = FailureSignature(
                version_id=version_id,
                kind="crash",
                signature=name,
                devices=sum(counts.values()),
                events=50,
                first_at=now - timedelta(days=max(counts)),
                last_at=now,
            )
            session.add(signature)
            session.flush()
            for ago, number in counts.items():
                day = (now - timedelta(days=ago)).date()
                session.add(FailureCount(signature_id=signature.id, day=day, devices=number, events=number))
    browser = sign_in(EMAILS[Role.VIEWER])

    def rows(days: int) -> list[str]:
        lines = browser.get(f"/apps/my-app/fleet.csv?chart=failures&days={days}").text.splitlines()[1:]
        return [",".join(line.split(",")[3:5]) for line in lines]

    assert (rows(1)[0], len(rows(1)), "old,1" in rows(1)) == ("new,2", 13, False)
    assert (rows(7)[0], len(rows(7)), "old,1" in rows(7)) == ("new,2", 14, True)
    assert (rows(90)[0], len(rows(90))) == ("old,10", 14)
    assert "last 24 hours" in browser.get("/apps/my-app/fleet?days=1").text
    assert len(Api(app, Role.VIEWER).get("/api/apps/my-app/fleet?days=1").json["failures"]) == 13


def test_a_version_keeps_its_colour_over_all_times(app: Flask, sign_in: Callable[..., FlaskClient]) -> None:
    day = utcnow().date()
    with app.app_context(), transaction() as session:
        counted = {
            0: {"1.2.0+12": 9, "1.1.0+11": 2, "1.0.0+3": 1},
            20: {"1.1.0+11": 7, "1.0.0+3": 8},
            60: {"1.0.0+3": 90},
        }
        for ago, counts in counted.items():
            for name, devices in counts.items():
                session.add(
                    Adoption(
                        app_id=1,
                        platform="android",
                        day=day - timedelta(days=ago),
                        app_version=name,
                        devices=devices,
                    )
                )
    browser = sign_in(EMAILS[Role.VIEWER])
    pages = [browser.get(f"/apps/my-app/fleet?days={days}").text for days in (1, 7, 30, 90)]
    legends = [
        re.findall(r'<span class="swatch (series-\w+)"></span>(1\.\d\.0\+\d+)', page) for page in pages
    ]
    # Versions 12 and 3 map to the same color: the newer one gets it.
    assert legends == [[("series-4", "1.2.0+12"), ("series-3", "1.1.0+11"), ("series-5", "1.0.0+3")]] * 4
    assert [
        line.split(",")[0] for line in browser.get("/apps/my-app/fleet.csv?days=1").text.splitlines()[1:]
    ] == [f"{day}"] * 3


def test_the_threshold_of_a_health_test_is_named_on_its_axis() -> None:
    for highest in (1.0, 150.0, 1e9, 1e80):
        curve = [[0, 0, 0, 0, 0, 1.0], [3_600, 9, 9, 1, 0, highest], [7_200, 9, 9, 2, 0, 0.5]]
        drawn = charts.evidence([("failures", curve)], 200, title="Evidence", label=str)
        marks = [
            (float(y), text)
            for y, text in re.findall(r'<text class="[^"]*" x="52" y="([0-9.]+)">([^<]+)</text>', drawn)
        ]
        assert "200" in [text for _, text in marks], highest
        assert "1" in [text for _, text in marks], highest
        heights = sorted(y for y, _ in marks)
        assert len(heights) >= 4
        assert all(below - above >= 12 for above, below in pairwise(heights)), (highest, marks)
