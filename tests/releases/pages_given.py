"""What the tests of the release pages share."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from ota.apps import apps
from ota.clock import utcnow
from ota.core.platforms import Platform
from ota.db import transaction
from ota.devices import devices
from ota.devices.devices import Sighting
from ota.models import Channel, DeviceGroup
from tests.conftest import csrf_of

HOME = "/apps/my-app/releases"


def with_channels(app: Flask, *names: str, approval_above: int | None = None) -> None:
    """More channels, and a two-person rule for the default one."""
    with app.app_context(), transaction() as session:
        found = apps.find(session, None)
        for name in names:
            session.add(Channel(app_id=found.id, name=name, is_default=False, created_at=utcnow()))
        session.scalars(select(Channel).where(Channel.is_default)).one().approval_above = approval_above


def with_groups(app: Flask, *names: str) -> None:
    with app.app_context(), transaction() as session:
        for name in names:
            session.add(DeviceGroup(app_id=apps.find(session, None).id, name=name, created_at=utcnow()))


def with_devices(app: Flask, number: int, version: str, code: int) -> None:
    """So many phones that asked an hour ago and run this version."""
    with app.app_context(), transaction() as session:
        channel, at = apps.find(session, None).channels[0].id, utcnow() - timedelta(hours=1)
        devices.note(
            session,
            [
                Sighting(
                    channel,
                    Platform.ANDROID,
                    devices.hashed("k", f"{code}-{n}"),
                    f"{version}+{code}",
                    code,
                    34,
                    None,
                    (),
                    at,
                )
                for n in range(number)
            ],
        )


def revision_of(page: TestResponse) -> str:
    found = re.search(r'name="revision"[^>]* value="(\d+)"', page.text)
    assert found, page.text
    return found[1]


def send(browser: FlaskClient, path: str, page: TestResponse, **fields: Any) -> TestResponse:
    """Send a form with what a page gave."""
    return browser.post(path, data={"csrf_token": csrf_of(page), "revision": revision_of(page), **fields})


def words_of(page: TestResponse) -> str:
    """What a person reads in the content: no tags, spaces as one."""
    content = page.text.split('<main class="content"', 1)[-1].split("</main>", 1)[0]
    return (
        re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", content))
        .replace(" .", ".")
        .replace(" ,", ",")
        .replace(" ;", ";")
    )
