"""Shapes of an explained decision and of a preview."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from ota.core.decision import Reason
from ota.web.shapes import AppSlug, BasisPoints, ChannelName, Locale, PlatformText

_ABIS = r"^[0-9A-Za-z_-]{1,20}(,[0-9A-Za-z_-]{1,20}){0,7}$(?!\n)"


class ExplainQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """A question as a check asks it. Omitted fields are taken from the device's latest check."""

    platform: PlatformText
    current_version: (
        Annotated[
            str,
            Meta(
                max_length=200,
                description="Required for a device that has never checked.",
                examples=["1.0.0+1"],
            ),
        ]
        | None
    ) = None
    device_id: Annotated[str, Meta(max_length=200)] | None = None
    app: AppSlug | None = None
    channel: ChannelName | None = None
    user_initiated: Annotated[bool, Meta(description='True when "Check for updates" was pressed.')] = False
    sdk: Annotated[int, Meta(ge=1, le=10_000, description="Android API level.", examples=[34])] | None = None
    os_version: (
        Annotated[str, Meta(max_length=20, pattern=r"^[0-9]+(\.[0-9]+)*$(?!\n)", examples=["17.2"])] | None
    ) = None
    abis: (
        Annotated[
            str,
            Meta(
                max_length=200,
                pattern=_ABIS,
                description="Names separated by commas.",
                examples=["arm64-v8a,armeabi-v7a"],
            ),
        ]
        | None
    ) = None
    locale: Locale | None = None


class StepView(Struct, kw_only=True):
    """One applied rule. ``outcome`` is passed, held_back or info.

    Without a release it concerns several, or the question.
    """

    rule: str
    outcome: str
    text: str
    release_id: int | None
    version: str | None
    version_code: int | None
    channel: str | None


class DecisionView(Struct, kw_only=True):
    """The answer to the device."""

    update_available: bool
    reason: Reason
    version: str | None
    version_code: int | None
    channel: Annotated[str, Meta(description="The channel that the offered release is on.")] | None
    release_notes: str | None
    is_mandatory: bool
    blocked: bool
    current_version_withdrawn: bool
    message: str


class KnownDeviceView(Struct, kw_only=True):
    """The device as of its latest check."""

    app_version: str
    sdk: int | None
    os_version: str | None
    abis: list[str]
    first_seen_at: datetime
    last_seen_at: datetime


class QueryView(Struct, kw_only=True):
    """The completed question. ``remembered``: fields that were taken from the device's latest check."""

    app: str
    platform: str
    channel: str
    device_id: str | None
    current_version: str
    user_initiated: bool
    sdk: int | None
    os: str | None
    abis: list[str]
    groups: list[str]
    remembered: list[str]


class CatalogView(Struct, kw_only=True):
    """The considered channels, those left out because they are shut off, and the number of live releases."""

    channels: list[str]
    shut_off: list[str]
    releases: int


class ExplainAnswer(Struct, kw_only=True):
    """The decision, and the rules that led to it, in their order."""

    ok: bool = True
    answer: Annotated[str, Meta(description="The decision as a sentence.")]
    decision: DecisionView
    steps: list[StepView]
    query: QueryView
    catalog: CatalogView
    device: Annotated[KnownDeviceView, Meta(description="Null for an unknown device.")] | None


class PreviewQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """The rollout to preview. Default: that of the release."""

    rollout: BasisPoints | None = None


class PreviewAnswer(Struct, kw_only=True):
    """How many of the active devices would be offered the release now."""

    ok: bool = True
    active: int
    offered: int
    mandatory: Annotated[
        int, Meta(description="Of the offered devices: those for which the update is mandatory.")
    ]
    current: Annotated[int, Meta(description="Devices that run this version or a newer one.")]
    held_back: Annotated[
        dict[str, int], Meta(description="The other devices, by reason; also newer_release and floor_first.")
    ]
    is_simulated: Annotated[bool, Meta(description="No device is known, so made-up ones were counted.")]
    is_sampled: Annotated[bool, Meta(description="Counted on a sample and scaled up.")]
    message: str
