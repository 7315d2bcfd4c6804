"""JSON: channels, and the kill switches of apps and channels."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from flask import Blueprint

from ota import approvals
from ota.apps import apps, channels, kill_switch
from ota.apps.channels import ChannelEdit
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.devices import devices
from ota.models import App, Channel, Proposal
from ota.web import words
from ota.web.access import actor
from ota.web.apps.channel_shapes import (
    ChannelAnswer,
    ChannelEditRequest,
    ChannelRequest,
    ChannelsAnswer,
    ChannelsQuery,
    ChannelView,
    SwitchAnswer,
)
from ota.web.operation import MANAGING, Operation, operation
from ota.web.shapes import DeletedAnswer
from ota.web.views import proposal_view, waits

blueprint = Blueprint("manage_channels", __name__)


@blueprint.get("/api/channels")
@operation(
    Operation(
        access=Access.VIEW, summary="List channels", tag=MANAGING, query=ChannelsQuery, answer=ChannelsAnswer
    )
)
def index(query: ChannelsQuery) -> ChannelsAnswer:
    """The channels of the app with their fallbacks, the default one first."""
    found = channels.of_app(reader(), apps.find(reader(), query.app))
    return ChannelsAnswer(channels=[_view(channel) for channel in found])


@blueprint.post("/api/channels")
@operation(
    Operation(
        access=Access.ADMIN,
        summary="Make a channel",
        tag=MANAGING,
        body=ChannelRequest,
        answer=ChannelAnswer,
        status=201,
    )
)
def create(body: ChannelRequest) -> ChannelAnswer:
    """Make a channel. Devices follow it by sending its name."""
    with transaction() as session:
        channel = channels.create(
            session,
            actor(),
            apps.find(session, body.app),
            name=body.name,
            falls_back_to=body.falls_back_to,
            approval_above=body.approval_above,
            now=utcnow(),
        )
    return _answer(channel, f"Devices that send the channel {channel.name} follow it from now on.")


@blueprint.get("/api/channels/<int:channel_id>")
@operation(Operation(access=Access.VIEW, summary="Show a channel", tag=MANAGING, answer=ChannelAnswer))
def show(channel_id: int) -> ChannelAnswer:
    """One channel. The message states its two-person rule."""
    channel = channels.get(reader(), channel_id)
    return ChannelAnswer(channel=_view(channel), message=words.approval(channel.approval_above))


@blueprint.patch("/api/channels/<int:channel_id>")
@operation(
    Operation(
        access=Access.ADMIN,
        summary="Edit a channel",
        tag=MANAGING,
        body=ChannelEditRequest,
        answer=ChannelAnswer,
    )
)
def edit(channel_id: int, body: ChannelEditRequest) -> ChannelAnswer | tuple[ChannelAnswer, int]:
    """Change the fallbacks and the two-person rule of a channel.

    202: the change loosens a rule, so another person has to approve it.
    """
    channel, proposal = _edit(channel_id, body)
    if proposal is not None:
        answer = ChannelAnswer(
            channel=_view(channel), message=waits(proposal), proposal=proposal_view(proposal)
        )
        return answer, 202
    return _answer(channel, f"{channel.name} is changed. {words.approval(channel.approval_above)}")


@blueprint.delete("/api/channels/<int:channel_id>")
@operation(Operation(access=Access.ADMIN, summary="Delete a channel", tag=MANAGING, answer=DeletedAnswer))
def delete(channel_id: int) -> DeletedAnswer:
    """Delete a channel without a history that is neither the default channel nor a fallback of others."""
    with transaction() as session:
        channel = channels.get(session, channel_id)
        name = channel.name
        channels.delete(session, actor(), channel, now=utcnow())
    return DeletedAnswer(
        message=f"The channel {name} is deleted. Devices that still send it are told that there is none."
    )


@blueprint.post("/api/channels/<int:channel_id>/shut-off")
@operation(Operation(access=Access.PUBLISH, summary="Shut a channel off", tag=MANAGING, answer=SwitchAnswer))
def shut_channel_off(channel_id: int) -> SwitchAnswer:
    """Offer nothing to the channel's devices, and its releases to no device. Repeating it has no effect."""
    with transaction() as session:
        channel = channels.get(session, channel_id)
        is_changed = kill_switch.shut_off(session, actor(), channel, now=utcnow())
    return _switched(channel, is_changed)


@blueprint.post("/api/channels/<int:channel_id>/turn-on")
@operation(
    Operation(access=Access.PUBLISH, summary="Turn a channel on again", tag=MANAGING, answer=SwitchAnswer)
)
def turn_channel_on(channel_id: int) -> SwitchAnswer:
    """Offer the live releases of the channel again. Repeating it has no effect."""
    with transaction() as session:
        channel = channels.get(session, channel_id)
        is_changed = kill_switch.turn_on(session, actor(), channel, now=utcnow())
    return _switched(channel, is_changed)


@blueprint.post("/api/apps/<slug>/shut-off")
@operation(Operation(access=Access.PUBLISH, summary="Shut an app off", tag=MANAGING, answer=SwitchAnswer))
def shut_app_off(slug: str) -> SwitchAnswer:
    """Offer nothing to any device of the app, on all channels. Repeating it has no effect."""
    with transaction() as session:
        app = apps.find(session, slug)
        is_changed = kill_switch.shut_off(session, actor(), app, now=utcnow())
    return _switched(app, is_changed)


@blueprint.post("/api/apps/<slug>/turn-on")
@operation(
    Operation(access=Access.PUBLISH, summary="Turn an app on again", tag=MANAGING, answer=SwitchAnswer)
)
def turn_app_on(slug: str) -> SwitchAnswer:
    """Offer live releases again, on channels that are not shut off themselves. Repeating it has no effect."""
    with transaction() as session:
        app = apps.find(session, slug)
        is_changed = kill_switch.turn_on(session, actor(), app, now=utcnow())
    return _switched(app, is_changed)


def _edit(channel_id: int, body: ChannelEditRequest) -> tuple[Channel, Proposal | None]:
    now = utcnow()
    with transaction() as session:
        channel = channels.get(session, channel_id)
        wanted = _wanted(channel, body)
        outcome = approvals.or_propose(
            session,
            actor(),
            lambda: channels.edit(session, actor(), channel, wanted, revision=body.revision, now=now),
            now=now,
        )
    proposal = None if isinstance(outcome, Channel) else outcome
    return channels.get(reader(), channel_id), proposal


def _wanted(channel: Channel, body: ChannelEditRequest) -> ChannelEdit:
    wanted = channels.edit_of(channel)
    if body.falls_back_to is not msgspec.UNSET:
        wanted = replace(wanted, falls_back_to=tuple(body.falls_back_to))
    if body.approval_above is not msgspec.UNSET:
        wanted = replace(wanted, approval_above=body.approval_above)
    return wanted


def _switched(what: App | Channel, is_changed: bool) -> SwitchAnswer:
    app, channel = (what, None) if isinstance(what, App) else (what.app, what.name)
    shown = f"{app.name}, channel {channel}," if channel else app.name
    verb = "is" if is_changed else "was already"
    result = "shut off: devices are offered nothing." if what.is_shut_off else "turned on."
    return SwitchAnswer(
        app=app.slug,
        channel=channel,
        is_shut_off=what.is_shut_off,
        changed=is_changed,
        active_devices=devices.count_active(reader(), app.id, now=utcnow()),
        message=f"{shown} {verb} {result}",
    )


def _answer(channel: Channel, message: str) -> ChannelAnswer:
    return ChannelAnswer(channel=_view(channel), message=message)


def _view(channel: Channel) -> ChannelView:
    return ChannelView(
        id=channel.id,
        app=channel.app.slug,
        name=channel.name,
        is_default=channel.is_default,
        is_shut_off=channel.is_shut_off,
        falls_back_to=list(channels.edit_of(channel).falls_back_to),
        approval_above=channel.approval_above,
        created_at=channel.created_at,
        revision=channel.revision,
    )
