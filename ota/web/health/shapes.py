"""Shapes of requests and answers about release health and its policy."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from ota.core.lifecycle import HealthAction, HealthTest
from ota.core.statistics import Share


class ShareView(Struct, kw_only=True):
    """A share of devices with its 95 % interval (Wilson), each from 0 to 1."""

    devices: int
    total: int
    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, found: Share) -> ShareView:
        return cls(devices=found.part, total=found.total, rate=found.rate, low=found.low, high=found.high)


class FailureView(Struct, kw_only=True):
    """Failures of a version that look alike."""

    version: str
    version_code: int
    kind: str
    signature: str
    sample: str | None
    devices: int
    events: int
    last_at: datetime


class HealthPoint(Struct, kw_only=True):
    """One point of the test's curve: devices in the rollout and in the control, those that failed, and the evidence then."""

    at: datetime
    rollout: int
    control: int
    failing_rollout: int
    failing_control: int
    evidence: float


class HealthTestView(Struct, kw_only=True):
    """One of the sequential tests of a release at its last look: failures against the control, failures alone against the acceptable
    rate, or silence of devices that normally call."""

    test: HealthTest
    evidence: float
    peak: float
    threshold: Annotated[float, Meta(description="The evidence that is enough to call the release bad.")]
    rollout: ShareView | None
    control: ShareView | None
    curve: list[HealthPoint]


class HealthView(HealthTestView, kw_only=True):
    """The test that speaks, with what was found by all of them. ``has_control``: it compares with devices outside of the rollout."""

    since: datetime
    evaluated_at: datetime
    is_bad: bool
    has_control: bool
    enrolled: int
    reported: Annotated[int, Meta(description="Devices of which it is decided how they do.")]


class ReleaseHealthAnswer(Struct, kw_only=True):
    """How a release goes. ``test`` is null before the first look."""

    ok: bool = True
    release_id: int
    funnel: Annotated[dict[str, int], Meta(description="Devices by the stage that they have reached.")]
    test: HealthView | None
    tests: Annotated[list[HealthTestView], Meta(description="Each test that could say something.")]
    failures: list[FailureView]
    message: str


class PolicyView(Struct, kw_only=True):
    """When a release counts as bad, and what is done then. Revision 0: the defaults, nothing was chosen."""

    action: HealthAction
    alpha: float
    tolerated_ratio: float
    window_hours: int
    min_failing_devices: int
    acceptable_rate: float
    min_reports: int
    silence_hours: int
    revision: int


class PolicyRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to change."""

    action: HealthAction | UnsetType = UNSET
    alpha: (
        Annotated[float, Meta(description="The largest probability with which a good release is called bad.")]
        | UnsetType
    ) = UNSET
    tolerated_ratio: (
        Annotated[float, Meta(description="So many times the control's failures are still a good release.")]
        | UnsetType
    ) = UNSET
    window_hours: Annotated[int, Meta(ge=1, le=2160)] | UnsetType = UNSET
    min_failing_devices: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    acceptable_rate: (
        Annotated[float, Meta(description="Without a control: this share of failing devices is still good.")]
        | UnsetType
    ) = UNSET
    min_reports: (
        Annotated[int, Meta(ge=0, le=1_000_000, description="A plan waits for so many devices.")] | UnsetType
    ) = UNSET
    silence_hours: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=720,
                description="A device that normally calls and has not for so long failed; 0: never.",
            ),
        ]
        | UnsetType
    ) = UNSET
    revision: (
        Annotated[int, Meta(ge=0, le=2**31 - 2, description="The revision that you saw; 0 for the defaults.")]
        | None
    ) = None


class PolicyAnswer(Struct, kw_only=True):
    """The policy that holds, and what it means."""

    ok: bool = True
    policy: PolicyView
    message: str
