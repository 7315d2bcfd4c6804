"""Versions, releases, channels, groups and devices for tests, and helpers for the pages of releases."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from ota import catalogs
from ota.apps import apps
from ota.builds import versions
from ota.builds.versions import VersionDraft
from ota.clock import utcnow
from ota.core.permissions import Role
from ota.core.platforms import Platform
from ota.db import reader, transaction
from ota.devices import devices
from ota.devices.devices import Sighting
from ota.history.audit import SYSTEM, Actor
from ota.models import Channel, DeviceGroup, Release, User, Version
from ota.releases import acts as release_acts
from ota.releases import rows as release_rows
from ota.releases.terms import Terms
from tests.conftest import csrf_of

HOME = "/apps/my-app/releases"
START = datetime(2026, 5, 4, 9, tzinfo=UTC)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def person(email: str) -> Actor:
    """Return a person of the test accounts as an actor."""
    user = reader().scalar(select(User).where(User.email == email))
    assert user is not None
    return Actor(label=email, role=Role(user.role), user_id=user.id)


def make(code: int, name: str | None = None, platform: Platform = Platform.ANDROID, **fields: Any) -> int:
    """Add a version with an external file. Return its id."""
    draft = VersionDraft(
        platform=platform,
        version=name or f"1.{code}.0",
        version_code=code,
        download_url=f"https://files.example.com/{code}.apk",
        checksum=f"{code:064x}",
        **fields,
    )
    with transaction() as session:
        return versions.add(session, SYSTEM, apps.find(session, None), draft, artifact=None, now=START).id


def begin(
    version_id: int,
    *,
    actor: Actor = SYSTEM,
    channel: str | None = None,
    rollout: int | None = None,
    at: datetime = START,
    **terms: Any,
) -> int:
    """Start a release. Return its id."""
    with transaction() as session:
        version = session.get_one(Version, version_id)
        return release_acts.start(
            session, actor, version, channel=channel, rollout=rollout, terms=Terms(**terms), now=at
        ).id


def channel(name: str, *, falls_back_to: str | None = None, approval_above: int | None = None) -> int:
    """Add a channel to the default app, or change an existing one. Return its id."""
    with transaction() as session:
        app = apps.find(session, None)
        row = next((each for each in app.channels if each.name == name), None)
        if row is None:
            row = Channel(app_id=app.id, name=name, created_at=START)
            session.add(row)
        row.approval_above = approval_above
        if falls_back_to:
            row.falls_back_to = [apps.find_channel(app, falls_back_to)]
        session.flush()
        catalogs.touch(session, app.id)
        return row.id


def look(release_id: int) -> Release:
    """Return the release as it is now."""
    reader().rollback()
    return release_rows.get(reader(), release_id)


def with_channels(app: Flask, *names: str, approval_above: int | None = None) -> None:
    """Add channels, and set the two-person rule of the default one."""
    with app.app_context(), transaction() as session:
        found = apps.find(session, None)
        for name in names:
            session.add(Channel(app_id=found.id, name=name, is_default=False, created_at=utcnow()))
        session.scalars(select(Channel).where(Channel.is_default)).one().approval_above = approval_above


def with_groups(app: Flask, *names: str) -> None:
    """Add empty device groups."""
    with app.app_context(), transaction() as session:
        for name in names:
            session.add(DeviceGroup(app_id=apps.find(session, None).id, name=name, created_at=utcnow()))


def with_devices(app: Flask, number: int, version: str, code: int) -> None:
    """Add Android devices that checked an hour ago and run this version."""
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
    """Return the revision in the first form of a page."""
    found = re.search(r'name="revision"[^>]* value="(\d+)"', page.text)
    assert found, page.text
    return found[1]


def send(browser: FlaskClient, path: str, page: TestResponse, **fields: Any) -> TestResponse:
    """Send a form with the token and the revision of a page."""
    return browser.post(path, data={"csrf_token": csrf_of(page), "revision": revision_of(page), **fields})


def words_of(page: TestResponse) -> str:
    """Return the text of the content: no tags, runs of spaces as one."""
    content = page.text.split('<main class="content"', 1)[-1].split("</main>", 1)[0]
    return (
        re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", content))
        .replace(" .", ".")
        .replace(" ,", ",")
        .replace(" ;", ";")
    )
