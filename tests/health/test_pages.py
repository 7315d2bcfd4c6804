"""The health of a release on its pages, and the question before a halted release is offered again."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from ota.clock import utcnow
from ota.core.permissions import Role
from ota.db import reader, transaction
from ota.models import Release, ReleaseCount, ReleaseDevice, ReleaseHealth
from ota.releases import watch
from tests.clock import hold_still
from tests.conftest import EMAILS, Api
from tests.releases.given import send, with_devices, words_of

pytestmark = pytest.mark.sqlite_suffices

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold the clock at noon: times of today are shown without their date."""
    hold_still(monkeypatch, utcnow().replace(hour=12, minute=30))


@pytest.fixture
def release(app: Flask, api: Api) -> int:
    """A release that started six hours ago."""
    found: int = api.published(2, "1.1.0")["release"]["id"]
    with app.app_context(), transaction() as session:
        session.execute(update(Release).values(starts_at=utcnow() - 6 * HOUR))
    return found


def install(app: Flask, release_id: int, devices: int, at: datetime, *, failing: int = 0) -> None:
    with app.app_context(), transaction() as session:
        for number in range(devices):
            session.add(
                ReleaseDevice(
                    release_id=release_id,
                    device_id=f"{number:064}",
                    is_control=False,
                    version_code=2,
                    enrolled_at=at,
                    offered_at=at,
                    installed_at=at,
                    failed_at=at if number < failing else None,
                )
            )
        for stage, number in (("offered", devices), ("installed", devices), ("failed", failing)):
            session.add(
                ReleaseCount(release_id=release_id, hour=at, stage=stage, devices=number, events=number)
            )


def look(app: Flask, release_id: int) -> None:
    with app.app_context(), transaction() as session:
        watch.evaluate(session, release_id, now=utcnow())


def shown(browser: FlaskClient, page: str) -> tuple[str, str, str]:
    """Tone and label of the pill, and the sentence, about the health of the only release."""
    text = browser.get(f"/apps/my-app/{page}").text
    found = re.search(r'<p><span class="pill pill-(\w+)">([^<]+)</span> ([^<]+)</p>', text)
    assert found, text
    return found[1], found[2], unescape(found[3])


def clock(at: datetime) -> str:
    return f"{at:%H:%M} UTC"


def test_green_is_shown_only_after_devices_were_judged(
    app: Flask, release: int, sign_in: Callable[..., FlaskClient]
) -> None:
    browser = sign_in(EMAILS[Role.VIEWER])
    pages = (f"releases/{release}", "fleet")
    assert "No device has been offered it" in browser.get(f"/apps/my-app/{pages[0]}").text
    assert "2 h after" in browser.get(f"/apps/my-app/{pages[0]}").text
    assert shown(browser, "fleet")[:2] == ("quiet", "too early")
    at = utcnow() - HOUR
    install(app, release, 9, at, failing=2)
    look(app, release)
    for page in pages:
        tone, label, sentence = shown(browser, page)
        assert (tone, label, sentence.split()[0]) == ("quiet", "too early", "9")
        assert clock(at + 2 * HOUR) in sentence
    with app.app_context(), transaction() as session:
        session.execute(update(ReleaseDevice).values(enrolled_at=at - 2 * HOUR, failed_at=None))
    tone, label, sentence = shown(browser, "fleet")
    assert (tone, label) == ("quiet", "too early")
    assert re.search("9 devices .* first look", sentence)
    look(app, release)
    judged = [shown(browser, page) for page in pages]
    assert judged[0] == judged[1]
    assert judged[0][:2] == ("good", "nothing found")
    assert "0 of 9 devices" in judged[0][2]


def test_after_a_resume_a_new_test_is_shown(
    app: Flask, api: Api, release: int, sign_in: Callable[..., FlaskClient]
) -> None:
    browser, page = sign_in(EMAILS[Role.VIEWER]), f"releases/{release}"
    install(app, release, 60, utcnow() - 4 * HOUR, failing=30)
    look(app, release)
    assert shown(browser, page)[:2] == ("bad", "bad")
    assert "30 of 60 devices" in shown(browser, page)[2]
    assert api.post(f"/api/releases/{release}/resume", {}).status_code == 200
    with app.app_context():
        since = reader().get_one(ReleaseHealth, release).since
    tone, label, sentence = shown(browser, page)
    assert (tone, label) == ("quiet", "a new test")
    assert clock(since) in sentence
    look(app, release)
    assert shown(browser, page) == (tone, label, sentence)
    assert api.get(f"/api/releases/{release}/health").json["message"] == sentence


def test_a_stage_that_no_device_reports_is_not_shown_as_zero(
    app: Flask, release: int, sign_in: Callable[..., FlaskClient]
) -> None:
    install(app, release, 9, utcnow() - HOUR)
    page = sign_in().get(f"/apps/my-app/releases/{release}").text
    pattern = r"<dt>(\w+)</dt>\s*<dd>.*?</dd>\s*<dd class=\"right\">(.*?)</dd>"
    levels = re.findall(pattern, page, re.DOTALL)
    numbers = {stage: " ".join(re.sub(r"<[^>]+>", "", number).split()) for stage, number in levels}
    assert numbers == {
        "Offered": "9",
        "Downloaded": "not reported",
        "Installed": "9 100 %",
        "Healthy": "not reported",
        "Failed": "0 0 %",
    }


def test_pages_of_an_app_that_keeps_no_devices_say_so(
    app: Flask, release: int, sign_in: Callable[..., FlaskClient]
) -> None:
    with app.app_context(), transaction() as session:
        session.get_one(Release, release).version.app.keeps_devices = False
    browser = sign_in(EMAILS[Role.ADMIN])
    for page in (f"releases/{release}", "fleet"):
        text = browser.get(f"/apps/my-app/{page}").text
        assert "My app keeps nothing" in text
        assert '/apps/my-app/settings#devices"' in text
        assert "No device has been offered it" not in text
        assert "devices known" not in text
        assert "active in 30 days" not in text
        assert "no device has asked yet" not in text
    assert "An administrator can change that" in sign_in(EMAILS[Role.VIEWER]).get("/apps/my-app/fleet").text


def test_a_halted_release_is_offered_again_only_after_a_confirmation_with_its_numbers(
    app: Flask, release: int, sign_in: Callable[..., FlaskClient]
) -> None:
    with_devices(app, 30, "1.0.0", 1)
    with_devices(app, 60, "1.1.0", 2)
    install(app, release, 60, utcnow() - 4 * HOUR, failing=30)
    look(app, release)
    browser, home = sign_in(), f"/apps/my-app/releases/{release}"
    page = browser.get(home)
    assert f'action="{home}/resume"' not in page.text
    assert re.search(rf'<a\s+class="button "\s+href="{home}/resume"', page.text)
    asked = browser.get(f"{home}/resume")
    for said in (
        "about 30 devices of 90 active; 60 run it already",
        "Halted: 30 of 60 devices failed",
        "it is halted again",
    ):
        assert said in words_of(asked), said
    with app.app_context():
        assert reader().get_one(Release, release).state == "halted"
    assert send(browser, f"{home}/resume", asked).status_code == 303
    assert "1.1.0 is offered again" in browser.get(home).text
    with app.app_context(), transaction() as session:
        session.execute(update(Release).values(state="paused"))
    assert f'action="{home}/resume"' in browser.get(home).text
