"""Shapes of requests about releases, and of their answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from ota.web.shapes import (
    AppSlug,
    BasisPoints,
    ChannelName,
    PlanStepShape,
    PlatformText,
    ProposalView,
    ReleaseView,
    Revision,
    VersionView,
)

Moment = Annotated[
    datetime, Meta(tz=True, description="RFC 3339, with a time zone.", examples=["2026-12-01T09:00:00Z"])
]
GroupNames = Annotated[
    list[Annotated[str, Meta(max_length=60)]], Meta(max_length=20, description="Names of device groups.")
]
PlanShape = Annotated[
    list[PlanStepShape],
    Meta(max_length=20, description="Steps in rising order. The release starts with the first one."),
]
Bound = Annotated[str, Meta(max_length=100, examples=["1.1.0+8"])]
Why = Annotated[str, Meta(max_length=500, description="The reason, for the history.")]


class TermsRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The fields that say how to offer a version."""

    channel: ChannelName | None = None
    rollout: BasisPoints | UnsetType = UNSET
    plan: PlanShape = []
    starts_at: Moment | None = None
    groups: GroupNames = []
    mandatory_from: Moment | None = None
    critical_from: Bound | None = None
    critical_below: Bound | None = None
    is_floor: Annotated[bool, Meta(description="No device can jump across this version.")] = False


class ReleaseRequest(TermsRequest, kw_only=True, forbid_unknown_fields=True):
    """How to offer a version. Without any field it is offered to all devices at once."""

    revision: Revision | None = None


class PromoteRequest(TermsRequest, kw_only=True, forbid_unknown_fields=True):
    """The other channel on which to offer the version, and how."""

    channel: ChannelName


class RolloutRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The new rollout of a release."""

    rollout: BasisPoints
    revision: Revision | None = None


class StopRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """An act on a release.

    The body can be left out; with a revision, the act is refused if the release has changed.
    """

    reason: Why | None = None
    revision: Revision | None = None


class ReleaseEditRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The terms to change.

    A term that is left out stays; null clears a time or a bound, an empty list the plan or the groups.
    """

    starts_at: Moment | UnsetType | None = UNSET
    plan: PlanShape | UnsetType = UNSET
    groups: GroupNames | UnsetType = UNSET
    mandatory_from: Moment | UnsetType | None = UNSET
    critical_from: Bound | UnsetType | None = UNSET
    critical_below: Bound | UnsetType | None = UNSET
    is_floor: bool | UnsetType = UNSET
    revision: Revision | None = None


class RollbackRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The platform and channel whose first release is rolled back."""

    platform: PlatformText
    app: AppSlug | None = None
    channel: ChannelName | None = None
    reason: Why | None = None


class ReleasesQuery(Struct, kw_only=True):
    """The releases to list."""

    app: AppSlug | None = None
    channel: ChannelName | None = None
    platform: PlatformText | None = None
    live: Annotated[bool, Meta(description="Only live releases.")] = False
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class EventView(Struct, kw_only=True):
    """One entry of the history: the act, its author, and what changed."""

    at: datetime
    actor: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class ReleaseAnswer(Struct, kw_only=True):
    """A release with its version, and what was done.

    With status 202 nothing was done yet: ``proposal`` waits for another person.
    """

    ok: bool = True
    release: ReleaseView | None
    version: VersionView
    message: str
    proposal: ProposalView | None = None


class ReleaseHistoryAnswer(Struct, kw_only=True):
    """A release with its version and its whole history, oldest first."""

    ok: bool = True
    release: ReleaseView
    version: VersionView
    stranded: Annotated[
        int, Meta(description="Active devices that run this version. No act removes it from them.")
    ]
    waits_for: Annotated[str, Meta(description="What holds a due step of the plan.")] | None
    history: list[EventView]


class ReleasesAnswer(Struct, kw_only=True):
    """A list of releases."""

    ok: bool = True
    releases: list[ReleaseView]


class ProposalsQuery(Struct, kw_only=True):
    """The proposals to list."""

    app: AppSlug | None = None
    open: Annotated[bool, Meta(description="Only open proposals.")] = False


class ProposalAnswer(Struct, kw_only=True):
    """A proposal, and what was done."""

    ok: bool = True
    proposal: ProposalView
    message: str


class ProposalsAnswer(Struct, kw_only=True):
    """A list of proposals."""

    ok: bool = True
    proposals: list[ProposalView]
