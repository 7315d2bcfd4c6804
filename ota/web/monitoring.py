"""How a release goes, as its page and the API tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup
from sqlalchemy.orm import Session

from ota.core.lifecycle import HealthTest
from ota.core.statistics import Share
from ota.models import Release, ReleaseHealth
from ota.services import fleet_figures, health
from ota.services.fleet_figures import Failures
from ota.web import charts

_NAMES = {
    HealthTest.CONTROL: "failures against the control",
    HealthTest.ALONE: "failures against the acceptable rate",
    HealthTest.SILENCE: "silence against the control",
}


@dataclass(frozen=True, slots=True)
class Monitoring:
    """``rates`` are the shares of failing and ``silent`` of silent devices, of the rollout and of the control; ``most`` is the largest
    number of the funnel."""

    row: ReleaseHealth | None
    sentence: str
    chart: Markup
    funnel: Mapping[str, int]
    rates: Sequence[tuple[str, Share]]
    silent: Sequence[tuple[str, Share]]
    failures: Sequence[Failures]

    @property
    def most(self) -> int:
        return max(self.funnel.values())

    @staticmethod
    def scale(rates: Sequence[tuple[str, Share]]) -> float:
        """The share at the right end of their intervals."""
        return max(found.high for _, found in rates) * 1.1

    @staticmethod
    def named(test: str) -> str:
        """What a test looks at."""
        return _NAMES[HealthTest(test)]

    @staticmethod
    def when(seconds: float) -> str:
        """3 Mar 14:00."""
        at = datetime.fromtimestamp(seconds, UTC)
        return f"{at.day} {at:%b %H:%M}"


def of(session: Session, release: Release) -> Monitoring:
    """What devices have reported about the release, and what the test has found so far."""
    row = session.get(ReleaseHealth, release.id)
    chart = Markup("")
    if row is not None:
        curves = [(_NAMES[HealthTest(each["test"])], each["curve"]) for each in row.tests]
        chart = charts.evidence(curves, row.threshold, title="Evidence against the release over time", label=Monitoring.when)
    return Monitoring(
        row, health.sentence(row) if row else "No look was taken yet.", chart,
        {stage.value: number for stage, number in fleet_figures.funnel(session, release.id).items()},
        _beside(fleet_figures.failure_rates(row)), _beside(fleet_figures.silence_rates(row)),
        fleet_figures.top_failures(session, release.version.app_id, release.platform, version_id=release.version_id, limit=5),
    )  # fmt: skip


def _beside(rates: tuple[Share | None, Share | None]) -> Sequence[tuple[str, Share]]:
    return [(name, share) for name, share in zip(("Rollout", "Control"), rates, strict=True) if share is not None]
