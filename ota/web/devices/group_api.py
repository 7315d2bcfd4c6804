"""JSON: device groups and their members."""

from __future__ import annotations

from flask import Blueprint

from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.devices import group_members, groups
from ota.errors import Invalid
from ota.models import DeviceGroup, DeviceGroupMember
from ota.web import journal
from ota.web.access import actor
from ota.web.devices.group_shapes import (
    GroupAnswer,
    GroupDevicesRequest,
    GroupEditRequest,
    GroupMembersAnswer,
    GroupRequest,
    GroupsAnswer,
    GroupsQuery,
    GroupView,
    MembersQuery,
    MemberView,
)
from ota.web.operation import MANAGING, Operation, operation
from ota.web.shapes import DeletedAnswer

blueprint = Blueprint("manage_groups", __name__)


@blueprint.get("/api/groups")
@operation(
    Operation(
        access=Access.VIEW, summary="List device groups", tag=MANAGING, query=GroupsQuery, answer=GroupsAnswer
    )
)
def index(query: GroupsQuery) -> GroupsAnswer:
    """The groups of the app by name, with the number of devices in each."""
    app = apps.find(reader(), query.app)
    counted = groups.counts(reader(), app)
    found = groups.of_app(reader(), app, limit=query.limit, offset=query.offset)
    return GroupsAnswer(groups=[_view(group, counted.get(group.id, 0)) for group in found])


@blueprint.post("/api/groups")
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="Make a device group",
        tag=MANAGING,
        body=GroupRequest,
        answer=GroupAnswer,
        status=201,
    )
)
def create(body: GroupRequest) -> GroupAnswer:
    """Make an empty group. Releases can be open to it."""
    with transaction() as session:
        group = groups.create(session, actor(), apps.find(session, body.app), name=body.name, now=utcnow())
    return _answer(group, f"The group {group.name} is made. Put devices into it.")


@blueprint.get("/api/groups/<int:group_id>")
@operation(
    Operation(
        access=Access.VIEW,
        summary="Show a device group",
        tag=MANAGING,
        query=MembersQuery,
        answer=GroupMembersAnswer,
    )
)
def show(group_id: int, query: MembersQuery) -> GroupMembersAnswer:
    """One group and its members, the last added first."""
    group = groups.get(reader(), group_id)
    found = group_members.listed(reader(), group, limit=query.limit, offset=query.offset)
    return GroupMembersAnswer(
        group=_view(group, groups.count(reader(), group)), members=[_member_view(each) for each in found]
    )


@blueprint.patch("/api/groups/<int:group_id>")
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="Rename a device group",
        tag=MANAGING,
        body=GroupEditRequest,
        answer=GroupAnswer,
    )
)
def rename(group_id: int, body: GroupEditRequest) -> GroupAnswer:
    """Rename a group. Releases stay open to it."""
    with transaction() as session:
        group = groups.get(session, group_id)
        groups.rename(session, actor(), group, name=body.name, revision=body.revision, now=utcnow())
    return _answer(group, f"The group is now called {group.name}.")


@blueprint.delete("/api/groups/<int:group_id>")
@operation(
    Operation(access=Access.PUBLISH, summary="Delete a device group", tag=MANAGING, answer=DeletedAnswer)
)
def delete(group_id: int) -> DeletedAnswer:
    """Delete a group and its members. Refused while a live release is open to it."""
    with transaction() as session:
        group = groups.get(session, group_id)
        name = group.name
        groups.delete(session, actor(), group, now=utcnow())
    return DeletedAnswer(message=f"The group {name} is deleted.")


@blueprint.post("/api/groups/<int:group_id>/devices")
@operation(
    Operation(
        access=Access.PUBLISH,
        summary="Add and remove devices",
        tag=MANAGING,
        body=GroupDevicesRequest,
        answer=GroupAnswer,
    )
)
def change_devices(group_id: int, body: GroupDevicesRequest) -> GroupAnswer:
    """Add devices to a group and remove others, all or nothing. Repeating it has no effect."""
    _check_not_empty(body)
    with transaction() as session:
        group = groups.get(session, group_id)
        added, removed = group_members.change(
            session,
            actor(),
            group,
            body.add,
            body.remove,
            note=body.note,
            hashed=journal.hashed,
            now=utcnow(),
        )
    return _answer(group, f"{added.new} added, {added.known} were in it already, {removed} removed.")


def _check_not_empty(body: GroupDevicesRequest) -> None:
    if not body.add and not body.remove:
        raise Invalid(
            "nothing_to_do",
            "add, remove: expected ids of devices in at least one of the two lists.",
            field="add",
        )


def _answer(group: DeviceGroup, message: str) -> GroupAnswer:
    return GroupAnswer(group=_view(group, groups.count(reader(), group)), message=message)


def _view(group: DeviceGroup, devices: int) -> GroupView:
    return GroupView(
        id=group.id,
        app=group.app.slug,
        name=group.name,
        devices=devices,
        created_at=group.created_at,
        revision=group.revision,
    )


def _member_view(member: DeviceGroupMember) -> MemberView:
    return MemberView(
        device_hash=member.device_hash,
        note=member.note,
        added_at=member.added_at,
        added_by=member.added_by,
    )
