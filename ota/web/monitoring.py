"""How a release goes, as its page and the API tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup
from sqlalchemy.orm import Session

from ota.core.statistics import Share
from ota.models import Release, ReleaseHealth
from ota.services import fleet_figures, health
from ota.services.fleet_figures import Failures
from ota.web import charts


@dataclass(frozen=True, slots=True)
class Monitoring:
    """``scale`` is the share at the right end of the intervals; ``most`` the largest number of the funnel."""

    row: ReleaseHealth | None
    sentence: str
    chart: Markup
    funnel: Mapping[str, int]
    rates: Sequence[tuple[str, Share]]
    failures: Sequence[Failures]

    @property
    def most(self) -> int:
        return max(self.funnel.values())

    @property
    def scale(self) -> float:
        return max(found.high for _, found in self.rates) * 1.1

    @staticmethod
    def when(seconds: float) -> str:
        """3 Mar 14:00."""
        at = datetime.fromtimestamp(seconds, UTC)
        return f"{at.day} {at:%b %H:%M}"


def of(session: Session, release: Release) -> Monitoring:
    """What devices have reported about the release, and what the test has found so far."""
    row = session.get(ReleaseHealth, release.id)
    found = zip(("Rollout", "Control"), fleet_figures.failure_rates(row), strict=True)
    chart = Markup("")
    if row is not None:
        chart = charts.evidence(row.curve, row.threshold, title="Evidence against the release over time", label=Monitoring.when)
    return Monitoring(
        row, health.sentence(row) if row else "No look was taken yet.", chart,
        {stage.value: number for stage, number in fleet_figures.funnel(session, release.id).items()},
        [(name, share) for name, share in found if share is not None],
        fleet_figures.top_failures(session, release.version.app_id, release.platform, version_id=release.version_id, limit=5),
    )  # fmt: skip
