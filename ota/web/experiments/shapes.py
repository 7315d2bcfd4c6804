"""Shapes of experiments and of their results."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from ota.core.comparison import ALPHA, Finding
from ota.web.health.shapes import ShareView
from ota.web.shapes import AppSlug, ChannelName, ProposalView, ReleaseView, Revision


class ComparisonView(Struct, kw_only=True):
    """An arm's share minus that of the first arm, from -1 to 1.

    The interval holds however often it is read. Without enough devices there is none.
    """

    finding: Annotated[
        Finding,
        Meta(description=f"False for equal arms with a probability of at most {ALPHA:g}, over all arms."),
    ]
    difference: float | None
    low: float | None
    high: float | None


class ArmResultView(Struct, kw_only=True):
    """The result of an arm. The others are compared with the first arm, whose comparisons are null."""

    release_id: int
    version_id: int
    version: str
    completion: Annotated[
        ShareView, Meta(description="Share of the devices that were offered it: those that installed it.")
    ]
    failures: Annotated[
        ShareView, Meta(description="Share of the devices that installed it or failed to: those that failed.")
    ]
    completion_beside: ComparisonView | None
    failures_beside: ComparisonView | None


class ArmShape(Struct, kw_only=True, forbid_unknown_fields=True):
    """A version and its share of the devices."""

    version_id: int
    weight: Annotated[
        int, Meta(ge=0, le=10_000, description="Whole basis points: half of the devices is 5000.")
    ]


class ExperimentRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Versions of one platform to compare on a channel."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    arms: Annotated[list[ArmShape], Meta(max_length=10)]
    app: AppSlug | None = None
    channel: ChannelName | None = None


class EndRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """How an experiment ends. Without a winner, nothing replaces its arms."""

    winner_version_id: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    revision: Revision | None = None


class ExperimentView(Struct, kw_only=True):
    """Versions compared on a channel."""

    id: int
    name: str
    channel: str
    platform: str
    state: str
    arms: list[ReleaseView]
    winner_version_id: int | None
    created_at: datetime
    created_by: str
    ended_at: datetime | None
    revision: int


class ExperimentsQuery(Struct, kw_only=True):
    """The app whose experiments are listed."""

    app: AppSlug | None = None


class ExperimentAnswer(Struct, kw_only=True):
    """An experiment, and what was done. With status 202, the proposal that waits for another person."""

    ok: bool = True
    experiment: ExperimentView | None
    message: str
    results: list[ArmResultView] | None = None
    proposal: ProposalView | None = None


class ExperimentsAnswer(Struct, kw_only=True):
    """A list of experiments."""

    ok: bool = True
    experiments: list[ExperimentView]
