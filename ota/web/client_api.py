"""What devices ask: open to everybody, shapes as in the seed."""

from __future__ import annotations

from flask import Blueprint

from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader
from ota.services import updates
from ota.services.devices import Sighting
from ota.services.updates import Question
from ota.web import present
from ota.web.api import DEVICES, Operation, operation
from ota.web.schemas import CheckAnswer, CheckRequest, LatestAnswer, LatestQuery
from ota.web.sightings import hashed, sightings

blueprint = Blueprint("client_api", __name__)


@blueprint.post("/api/updates/check")
@operation(Operation(access=Access.PUBLIC, summary="Check for updates", tag=DEVICES, body=CheckRequest, answer=CheckAnswer))
def check(body: CheckRequest) -> CheckAnswer:
    """Whether there is a newer version for this device, and why or why not."""
    question = Question(
        platform=body.platform, current_version=body.current_version, device_id=body.device_id, app=body.app,
        channel=body.channel, user_initiated=body.user_initiated,
    )  # fmt: skip
    now = utcnow()
    answer = updates.check(reader(), question, now=now)
    if answer.query.device_id:
        sightings().add(
            Sighting(
                channel_id=answer.channel_id, platform=answer.platform, device_hash=hashed(answer.query.device_id),
                app_version=answer.query.current.text, version_code=answer.query.current.build, sdk=body.sdk,
                os_version=body.os_version, abis=tuple(sorted(set(body.abis or ()))), at=now,
            )
        )  # fmt: skip
    return present.check_answer(answer.decision, answer.version)


@blueprint.get("/api/updates/latest")
@operation(Operation(access=Access.PUBLIC, summary="Get the latest version", tag=DEVICES, query=LatestQuery, answer=LatestAnswer))
def latest(query: LatestQuery) -> LatestAnswer:
    """The newest version that is open to everybody; 404 when there is none."""
    version = updates.latest(reader(), app=query.app, platform=query.platform, channel=query.channel, now=utcnow())
    return present.latest_answer(version)
