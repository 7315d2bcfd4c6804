"""JSON: single devices, their timelines, and forgetting one."""

from __future__ import annotations

from flask import Blueprint

from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.devices import timeline
from ota.errors import Invalid
from ota.web import journal
from ota.web.access import actor
from ota.web.devices.shapes import (
    DeviceAnswer,
    DeviceQuery,
    DevicesAnswer,
    DevicesQuery,
    DeviceStoryQuery,
    ForgottenAnswer,
)
from ota.web.devices.views import cursor_of, cursor_text, device_view, story_answer
from ota.web.operation import MANAGING, Operation, operation, with_plus

blueprint = Blueprint("manage_devices", __name__)


@blueprint.get("/api/apps/<slug>/devices")
@operation(
    Operation(
        access=Access.VIEW, summary="List devices", tag=MANAGING, query=DevicesQuery, answer=DevicesAnswer
    )
)
def index(slug: str, query: DevicesQuery) -> DevicesAnswer:
    """The devices of an app on one platform, the last seen first."""
    app = apps.find(reader(), slug)
    found = timeline.listed(
        reader(),
        app.id,
        apps.find_platform(query.platform),
        now=utcnow(),
        unseen_days=query.unseen_days,
        version=with_plus(query.version),
        after=cursor_of(query.after),
        limit=query.limit,
    )
    return DevicesAnswer(devices=[device_view(each) for each in found.devices], next=cursor_text(found.after))


@blueprint.get("/api/devices")
@operation(
    Operation(
        access=Access.VIEW,
        summary="Look up a device",
        tag=MANAGING,
        query=DeviceStoryQuery,
        answer=DeviceAnswer,
    )
)
def show(query: DeviceStoryQuery) -> DeviceAnswer:
    """A device: what it runs, what it was offered and why, what it reported, its groups, and its journeys."""
    if query.before is not None and query.before.tzinfo is None:
        raise Invalid.about(
            "before", "invalid_field", "expected a time with its zone, for example 2026-03-01T12:00:00Z."
        )
    app = apps.find(reader(), query.app)
    device_hash = timeline.find(reader(), app, query.device_id, hashed=journal.hashed)
    return story_answer(timeline.story(reader(), app, device_hash, before=query.before, limit=query.limit))


@blueprint.delete("/api/devices")
@operation(
    Operation(
        access=Access.ADMIN,
        summary="Forget a device",
        tag=MANAGING,
        query=DeviceQuery,
        answer=ForgottenAnswer,
    )
)
def forget(query: DeviceQuery) -> ForgottenAnswer:
    """Delete everything that is known about a device of an app. This cannot be undone.

    Counts stay, because they name no device.
    """
    with transaction() as session:
        app = apps.find(session, query.app)
        device_hash = timeline.find(session, app, query.device_id, hashed=journal.hashed)
        rows = timeline.forget(session, actor(), app, device_hash, now=utcnow())
    return ForgottenAnswer(rows=rows, message="The device is forgotten. If it asks again, it is a new one.")
