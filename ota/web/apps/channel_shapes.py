"""Shapes of requests and answers about channels and kill switches."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ota.web.shapes import AppSlug, ProposalView, Revision

Name = Annotated[
    str,
    Meta(
        max_length=100,
        description="1 to 40 lower-case letters, digits and inner hyphens. Devices send it.",
        examples=["beta"],
    ),
]
Fallbacks = Annotated[
    list[Annotated[str, Meta(max_length=100)]],
    Meta(
        max_length=100,
        description="Names of channels whose releases are also offered to its devices.",
        examples=[["stable"]],
    ),
]
ApprovalAbove = Annotated[
    int,
    Meta(
        ge=0,
        le=9_999,
        description="Basis points. Releases open to more devices need a second person. Null: no rule.",
        examples=[1000],
    ),
]


class ChannelsQuery(Struct, kw_only=True):
    """The app whose channels to list."""

    app: AppSlug | None = None


class ChannelRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The channel to make."""

    name: Name
    falls_back_to: Fallbacks = []
    approval_above: ApprovalAbove | None = None
    app: AppSlug | None = None


class ChannelEditRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change. Fields that are left out stay as they are."""

    falls_back_to: Fallbacks | msgspec.UnsetType = msgspec.UNSET
    approval_above: ApprovalAbove | msgspec.UnsetType | None = msgspec.UNSET
    revision: Revision | None = None


class ChannelView(Struct, kw_only=True):
    """A channel. A device that names no channel follows the default one."""

    id: int
    app: str
    name: str
    is_default: bool
    is_shut_off: bool
    falls_back_to: list[str]
    approval_above: int | None
    created_at: datetime
    revision: int


class ChannelAnswer(Struct, kw_only=True):
    """One channel, and a message about the act."""

    ok: bool = True
    channel: ChannelView
    message: str
    proposal: ProposalView | None = None


class ChannelsAnswer(Struct, kw_only=True):
    """The channels of an app, the default one first."""

    ok: bool = True
    channels: list[ChannelView]


class SwitchAnswer(Struct, kw_only=True):
    """State of a kill switch after the act.

    ``changed`` is false if it was in this state already. ``channel`` is null for the whole app.
    """

    ok: bool = True
    app: str
    channel: str | None
    is_shut_off: bool
    changed: bool
    active_devices: Annotated[
        int, Meta(description="Devices of the app, on all channels, that checked within the last 30 days.")
    ]
    message: str
