"""Shapes of what an experiment has shown."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from ota.core.comparison import ALPHA, Finding
from ota.web.health.shapes import ShareView


class ComparisonView(Struct, kw_only=True):
    """An arm's share less that of the first arm, from -1 to 1. The interval holds however often one looks; without enough devices
    there is none."""

    finding: Annotated[
        Finding,
        Meta(
            description=f"Said wrongly of equal arms with a probability of {ALPHA:g} at most, all arms together."
        ),
    ]
    difference: float | None
    low: float | None
    high: float | None


class ArmResultView(Struct, kw_only=True):
    """How an arm does. The first arm is what the others are compared with, so its own comparisons are null."""

    release_id: int
    version_id: int
    version: str
    completion: Annotated[
        ShareView, Meta(description="Of the devices that were offered it: those that installed it.")
    ]
    failures: Annotated[
        ShareView, Meta(description="Of the devices that installed it, or failed to: those that failed.")
    ]
    completion_beside: ComparisonView | None
    failures_beside: ComparisonView | None
