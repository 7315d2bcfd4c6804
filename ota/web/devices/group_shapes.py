"""Shapes of requests and answers about device groups."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from ota.web.shapes import AppSlug, Revision

GroupName = Annotated[str, Meta(max_length=200, description="1 to 60 characters.", examples=["Testers"])]


class GroupsQuery(Struct, kw_only=True):
    """The app whose groups to list."""

    app: AppSlug | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 100
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class MembersQuery(Struct, kw_only=True):
    """Which members of the group to list."""

    limit: Annotated[int, Meta(ge=0, le=1000)] = 100
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class GroupRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The group to make."""

    name: GroupName
    app: AppSlug | None = None


class GroupEditRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The new name."""

    name: GroupName
    revision: Revision | None = None


class GroupDevicesRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Devices to add to the group and to remove from it. A device in both lists is in it afterwards."""

    add: Annotated[
        list[str], Meta(description="Ids as the devices send them in `device_id`.", examples=[["abc123"]])
    ] = []
    remove: Annotated[list[str], Meta(description="Ids, or hashes from `members`.")] = []
    note: (
        Annotated[str, Meta(max_length=1000, description="Text by which people recognize the added devices.")]
        | None
    ) = None


class GroupView(Struct, kw_only=True):
    """A group of devices."""

    id: int
    app: str
    name: str
    devices: int
    created_at: datetime
    revision: int


class MemberView(Struct, kw_only=True):
    """A device in a group. Only the keyed hash of its id is kept."""

    device_hash: str
    note: str | None
    added_at: datetime
    added_by: str


class GroupAnswer(Struct, kw_only=True):
    """One group, and a message about the act."""

    ok: bool = True
    group: GroupView
    message: str


class GroupMembersAnswer(Struct, kw_only=True):
    """One group and its members, the last added first."""

    ok: bool = True
    group: GroupView
    members: list[MemberView]


class GroupsAnswer(Struct, kw_only=True):
    """Groups by name."""

    ok: bool = True
    groups: list[GroupView]
