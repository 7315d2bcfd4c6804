"""Requests from devices, open to all. The shapes are those of the published protocol (docs/protocol.md)."""

from __future__ import annotations

from flask import Blueprint, request

from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader
from ota.updates import answers as update_answers
from ota.web import views
from ota.web.operation import DEVICES, Operation, operation
from ota.web.shapes import CheckAnswer, CheckRequest, LatestAnswer, LatestQuery
from ota.web.updates.front import PATH
from ota.web.updates.hot_path import hot_path

blueprint = Blueprint("client_api", __name__)


@blueprint.post(PATH)
@operation(
    Operation(
        access=Access.PUBLIC,
        summary="Check for updates",
        tag=DEVICES,
        body=CheckRequest,
        answer=CheckAnswer,
        is_raw=True,
    )
)
def check(raw: bytes) -> bytes:
    """Return the version that this device is offered, or why it is offered none."""
    return hot_path().answer(raw, utcnow(), request.remote_addr or "")


@blueprint.get("/api/updates/latest")
@operation(
    Operation(
        access=Access.PUBLIC,
        summary="Get the latest version",
        tag=DEVICES,
        query=LatestQuery,
        answer=LatestAnswer,
    )
)
def latest(query: LatestQuery) -> LatestAnswer:
    """Return the newest version that is open to all devices, 404 if there is none."""
    version = update_answers.latest(
        reader(), app=query.app, platform=query.platform, channel=query.channel, now=utcnow()
    )
    return views.latest_answer(version, query.locale)
