"""Shapes of requests and answers.

The same types parse, answer and document: `/openapi.json` is generated from them.

Requests of devices ignore unknown fields, so that newer apps can talk to older servers. Requests that
manage reject them, so that a misspelt field is never silently lost.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ota.core.decision import Reason
from ota.core.platforms import Platform
from ota.packages import BuildFacts

_PLATFORMS: dict[str, Any] = {"enum": [platform.value for platform in Platform]}
PlatformText = Annotated[str, Meta(max_length=40, extra_json_schema=_PLATFORMS, examples=["android"])]
AppSlug = Annotated[str, Meta(max_length=60, description="Slug of the app; the default app without it.")]
ChannelName = Annotated[
    str, Meta(max_length=40, description="Channel that the device follows; the default one without it.")
]
BasisPoints = Annotated[
    int, Meta(ge=0, le=10_000, description="Whole basis points: 10000 is all devices, 1000 is 10 %.")
]
VersionCode = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Revision = Annotated[
    int,
    Meta(
        ge=1,
        le=2**31 - 2,
        description="The revision that the change is based on. An old one is answered with 409.",
    ),
]
Locale = Annotated[
    str,
    Meta(
        max_length=100,
        description="Language tag of the device; pt-BR finds pt-br, then pt.",
        examples=["pt-BR"],
    ),
]
NotesByLanguage = Annotated[
    dict[str, str | None],
    Meta(
        description="Release notes by language tag. Languages left out stay; null removes one.",
        examples=[{"de": "Neu: ...", "fr": None}],
    ),
]


class CheckRequest(Struct, kw_only=True):
    """An update check: a device asks for a newer version."""

    platform: PlatformText
    current_version: Annotated[
        str, Meta(max_length=200, description="MAJOR.MINOR.PATCH+BUILD.", examples=["1.0.0+1"])
    ]
    device_id: (
        Annotated[str, Meta(max_length=200, description="Any id that stays the same for this installation.")]
        | None
    ) = None
    app: AppSlug | None = None
    channel: ChannelName | None = None
    user_initiated: Annotated[bool, Meta(description='True when "Check for updates" was pressed.')] = False
    sdk: Annotated[int, Meta(ge=1, le=10_000, description="Android API level.", examples=[34])] | None = None
    os_version: (
        Annotated[str, Meta(max_length=20, pattern=r"^[0-9]+(\.[0-9]+)*$(?!\n)", examples=["17.2"])] | None
    ) = None
    abis: (
        Annotated[
            list[Annotated[str, Meta(max_length=20, pattern=r"^[0-9A-Za-z_-]+$(?!\n)")]],
            Meta(max_length=8, description="Build.SUPPORTED_ABIS.", examples=[["arm64-v8a"]]),
        ]
        | None
    ) = None
    # An unknown or invalid language is no error: such a device gets the general notes.
    locale: (
        Annotated[
            str,
            Meta(
                extra_json_schema={"maxLength": 35}, description="Language of the notes.", examples=["pt-BR"]
            ),
        ]
        | None
    ) = None


class CheckAnswer(Struct, kw_only=True):
    """The offer to the device. Without an update all fields about the version are null."""

    update_available: bool
    latest_version: str | None
    version_code: int | None
    download_url: str | None
    file_size: Annotated[int, Meta(description="Bytes.")] | None
    checksum: Annotated[str, Meta(description="Lower-case SHA-256 of the file.")] | None
    release_notes: str | None
    is_mandatory: bool
    message: str
    reason: Reason
    blocked: Annotated[
        bool, Meta(description="True when the device must update and nothing can be offered to it.")
    ] = False
    current_version_withdrawn: Annotated[
        bool, Meta(description="True when the version that the device runs was withdrawn.")
    ] = False


class LatestQuery(Struct, kw_only=True):
    """The stream whose newest version is returned."""

    platform: PlatformText
    app: AppSlug | None = None
    channel: ChannelName | None = None
    locale: Locale | None = None


class LatestAnswer(Struct, kw_only=True):
    """The newest version that is open to all devices."""

    ok: bool
    version: str
    version_code: int
    platform: str
    download_url: str
    file_size: int | None
    checksum: str | None
    release_notes: str | None
    is_mandatory: bool
    published_at: datetime | None
    min_supported_version: str | None
    reason: Reason


class PublishRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A version to create (or find) and offer to all devices on the default channel."""

    version: Annotated[str, Meta(min_length=1, max_length=50, examples=["1.1.0"])]
    version_code: VersionCode
    platform: PlatformText
    download_url: (
        Annotated[
            str,
            Meta(max_length=500, description="Address of the file. Not needed for a build uploaded here."),
        ]
        | None
    ) = None
    file_size: Annotated[int, Meta(ge=1)] | None = None
    checksum: (
        Annotated[str, Meta(max_length=80, description="SHA-256 of the file, in hexadecimal.")] | None
    ) = None
    release_notes: str | None = None
    localized_notes: NotesByLanguage | None = None
    is_mandatory: (
        Annotated[bool, Meta(description="Default: false, or unchanged for an uploaded build.")] | None
    ) = None
    min_supported_version: str | None = None
    min_sdk: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=10_000,
                description="For an external file: the lowest API level that it runs on.",
            ),
        ]
        | None
    ) = None
    min_os: (
        Annotated[str, Meta(max_length=20, pattern=r"^[0-9]+(\.[0-9]+)*$(?!\n)", examples=["16.0"])] | None
    ) = None
    app: AppSlug | None = None


class RevisionRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """An act on a thing that can have changed meanwhile. The body is optional."""

    revision: Revision | None = None


class VersionEditRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The fields to change. Fields that are left out stay; an empty text clears."""

    release_notes: str | None = None
    localized_notes: NotesByLanguage | None = None
    is_mandatory: bool | None = None
    min_supported_version: str | None = None
    revision: Revision | None = None


class UploadFields(Struct, kw_only=True, forbid_unknown_fields=True):
    """Fields sent with the file. The file's own values have precedence."""

    app: AppSlug | None = None
    channel: ChannelName | None = None
    release_notes: str | None = None
    is_mandatory: bool = False
    min_supported_version: str | None = None
    platform: PlatformText | None = None
    version: Annotated[str, Meta(max_length=50)] | None = None
    version_code: VersionCode | None = None


class VersionsQuery(Struct, kw_only=True):
    """The versions to list."""

    app: AppSlug | None = None
    platform: PlatformText | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class PlanStepShape(Struct, kw_only=True, forbid_unknown_fields=True):
    """One step of a plan: its rollout, and the wait before the next step."""

    rollout: Annotated[int, Meta(ge=0, le=10_000, description="Whole basis points: 1000 is 10 %.")]
    soak_minutes: Annotated[
        int, Meta(ge=0, le=129_600, description="Minutes before the next step; the last step needs none.")
    ] = 0


class ReleaseView(Struct, kw_only=True):
    """A version offered on a channel."""

    id: int
    version_id: int
    channel: str
    state: str
    rollout: int
    starts_at: datetime
    plan: list[PlanStepShape]
    plan_step: Annotated[int, Meta(description="Current step of the plan, from 0.")] | None
    next_step_at: (
        Annotated[
            datetime,
            Meta(
                description="Time of the next step. Null if there is none, or while the release is stopped."
            ),
        ]
        | None
    )
    groups: Annotated[
        list[str], Meta(description="Device groups that are offered the release whatever the rollout.")
    ]
    mandatory_from: datetime | None
    critical_from: str | None
    critical_below: str | None
    is_floor: bool
    experiment_id: int | None
    bucket_from: int
    reason: (
        Annotated[str, Meta(description="Reason for which it was stopped or ended, if one was given.")] | None
    )
    created_at: datetime
    created_by: str
    ended_at: datetime | None
    revision: int


class ProposalView(Struct, kw_only=True):
    """An act that waits for another person's approval, or its result."""

    id: int
    kind: str
    channel: str
    summary: str
    state: str
    proposed_at: datetime
    proposed_by: str
    decided_at: datetime | None
    decided_by: str | None


class VersionView(Struct, kw_only=True):
    """A version. Its fields have the names of the database's columns."""

    id: int
    app: str
    version: str
    version_code: int
    platform: str
    min_supported_version: str | None
    download_url: str
    file_size: int | None
    checksum: str | None
    release_notes: str | None
    localized_notes: dict[str, str]
    is_mandatory: bool
    is_active: bool
    created_at: datetime
    published_at: datetime | None
    withdrawn_at: datetime | None
    package_id: str | None
    revision: int
    releases: list[ReleaseView]
    build: (
        Annotated[
            BuildFacts,
            Meta(description="Facts read from the file and proved. Null in lists and for external files."),
        ]
        | None
    )


class UploadView(Struct, kw_only=True):
    """An uploaded file and its progress."""

    id: str
    status: str
    stage: str | None
    reason: Annotated[str, Meta(description="Reason of a rejection, as a sentence.")] | None
    reason_code: str | None
    status_url: str
    file_name: str
    file_size: int
    created_at: datetime
    finished_at: datetime | None
    version: VersionView | None


class VersionAnswer(Struct, kw_only=True):
    """A version and the act that was done."""

    ok: bool = True
    version: VersionView
    message: str


class VersionsAnswer(Struct, kw_only=True):
    """A list of versions."""

    ok: bool = True
    versions: list[VersionView]


class UploadAnswer(Struct, kw_only=True):
    """An upload."""

    ok: bool = True
    upload: UploadView


class DeletedAnswer(Struct, kw_only=True):
    """The act that was done."""

    ok: bool = True
    message: str


class ComponentView(Struct, kw_only=True):
    """State of one component: up, down, late or unknown."""

    state: str
    detail: str | None = None


class HealthAnswer(Struct, kw_only=True):
    """Health of the server.

    ok: everything works. degraded: devices are served, but new uploads wait. down: devices are not served.
    """

    ok: bool
    status: str
    version: str
    components: dict[str, ComponentView]


class ErrorAnswer(Struct, kw_only=True):
    """An error. ``code`` is stable and for programs; ``message`` is for people."""

    ok: bool = False
    code: str
    message: str
    details: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    current: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
