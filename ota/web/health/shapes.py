"""Shapes of requests and answers about release health and its policy."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from ota.core.lifecycle import HealthAction, HealthTest
from ota.core.statistics import Share


class ShareView(Struct, kw_only=True):
    """A share of devices with its 95 % interval (Wilson). Shares are from 0 to 1."""

    devices: int
    total: int
    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, found: Share) -> ShareView:
        return cls(devices=found.part, total=found.total, rate=found.rate, low=found.low, high=found.high)


class FailureView(Struct, kw_only=True):
    """A failure group: failures of a version with the same kind and signature."""

    version: str
    version_code: int
    kind: str
    signature: str
    sample: str | None
    devices: int
    events: int
    last_at: datetime


class HealthPoint(Struct, kw_only=True):
    """One point of a test's curve: devices of rollout and control, those that failed, and the evidence."""

    at: datetime
    rollout: int
    control: int
    failing_rollout: int
    failing_control: int
    evidence: float


class HealthTestView(Struct, kw_only=True):
    """One sequential test of a release at its last look.

    It compares failures with the control group, failures with the acceptable rate, or the silence of regular
    devices with that of the control group.
    """

    test: HealthTest
    evidence: float
    peak: float
    threshold: Annotated[float, Meta(description="Evidence at which the release is bad.")]
    rollout: ShareView | None
    control: ShareView | None
    curve: list[HealthPoint]


class HealthView(HealthTestView, kw_only=True):
    """The leading test, with the state of all tests. ``has_control``: it compares with the control group."""

    since: datetime
    evaluated_at: datetime
    is_bad: bool
    has_control: bool
    enrolled: int
    reported: Annotated[int, Meta(description="Devices whose health is known.")]


class ReleaseHealthAnswer(Struct, kw_only=True):
    """The health of a release. ``test`` is null before the first look."""

    ok: bool = True
    release_id: int
    funnel: Annotated[dict[str, int], Meta(description="Number of devices that have reached each stage.")]
    test: HealthView | None
    tests: Annotated[list[HealthTestView], Meta(description="The tests that had devices to observe.")]
    failures: list[FailureView]
    message: str


class PolicyView(Struct, kw_only=True):
    """When a release is bad, and what the server does then. Revision 0: the defaults."""

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
    """The values to change. Omitted fields stay."""

    action: HealthAction | UnsetType = UNSET
    alpha: (
        Annotated[float, Meta(description="The largest probability with which a good release is found bad.")]
        | UnsetType
    ) = UNSET
    tolerated_ratio: (
        Annotated[
            float, Meta(description="How many times as often as the control group a good release can fail.")
        ]
        | UnsetType
    ) = UNSET
    window_hours: Annotated[int, Meta(ge=1, le=2160)] | UnsetType = UNSET
    min_failing_devices: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    acceptable_rate: (
        Annotated[
            float,
            Meta(description="Without a control group: the share of failing devices that is still good."),
        ]
        | UnsetType
    ) = UNSET
    min_reports: (
        Annotated[
            int, Meta(ge=0, le=1_000_000, description="Number of devices whose reports a plan waits for.")
        ]
        | UnsetType
    ) = UNSET
    silence_hours: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=720,
                description="Hours of silence after which a regular device has failed; 0: never.",
            ),
        ]
        | UnsetType
    ) = UNSET
    revision: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=2**31 - 2,
                description="The revision that the change is based on; 0 for the defaults.",
            ),
        ]
        | None
    ) = None


class PolicyAnswer(Struct, kw_only=True):
    """The policy that applies, and what its alpha means."""

    ok: bool = True
    policy: PolicyView
    message: str
