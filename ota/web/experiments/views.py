"""Results of experiments, as pages and the API show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from ota.core.comparison import Comparison, Finding, Result
from ota.core.statistics import ENOUGH
from ota.experiments import results
from ota.models import Experiment, Release
from ota.web import views as common_views
from ota.web.experiments.shapes import ArmResultView, ComparisonView, ExperimentView
from ota.web.health.shapes import ShareView

_WORDS = {
    "completion": {Finding.HIGHER: "Installed more often", Finding.LOWER: "Installed less often"},
    "failure": {Finding.HIGHER: "Fails more often", Finding.LOWER: "Fails less often"},
}
_TONES = {
    "completion": {Finding.HIGHER: "good", Finding.LOWER: "bad"},
    "failure": {Finding.HIGHER: "bad", Finding.LOWER: "good"},
}


@dataclass(frozen=True, slots=True)
class ComparisonText:
    """A comparison in words. ``tone`` is the color of the pill with the ``verdict``: good, bad or quiet."""

    verdict: str
    tone: str
    sentence: str
    short: str


@dataclass(frozen=True, slots=True)
class ArmRow:
    """An arm and its result. A comparison is None for the first arm."""

    arm: Release
    result: Result
    completion: ComparisonText | None
    failure: ComparisonText | None


@dataclass(frozen=True, slots=True)
class Results:
    """All arms. ``completion_scale`` and ``failure_scale`` are the shares at the right ends of the charts."""

    rows: Sequence[ArmRow]

    @property
    def is_empty(self) -> bool:
        return not any(row.result.counts.offered for row in self.rows)

    @property
    def completion_scale(self) -> float:
        return 1.0

    @property
    def failure_scale(self) -> float:
        known = [row.result.failure.high for row in self.rows if row.result.counts.tried]
        return max(known, default=1.0) * 1.1


def of(session: Session, experiment: Experiment) -> Results:
    """Return the results so far, for the page."""
    found = list(zip(experiment.arms, results.of(session, experiment), strict=True))
    first = experiment.arms[0].version.version if experiment.arms else ""
    return Results(
        [
            ArmRow(
                arm,
                result,
                _comparison_text("completion", result.completion_beside, first),
                _comparison_text("failure", result.failure_beside, first),
            )
            for arm, result in found
        ]
    )


def views(session: Session, experiment: Experiment) -> list[ArmResultView]:
    """Return the results so far, for programs."""
    return [
        _view(arm, result)
        for arm, result in zip(experiment.arms, results.of(session, experiment), strict=True)
    ]


def _comparison_text(what: str, found: Comparison | None, first: str) -> ComparisonText | None:
    if found is None:
        return None
    if found.difference is None:
        needed = f"To compare it with {first}, {ENOUGH} devices of each are needed."
        return ComparisonText("too few devices", "quiet", needed, "too few devices")
    low, value, high = (
        f"{100 * each:+.1f}" for each in (found.difference.low, found.difference.value, found.difference.high)
    )
    numbers = f"{value} points ({low} to {high})"
    if found.finding is Finding.CHANCE:
        return ComparisonText(
            "could be chance", "quiet", f"Against {first}: {numbers}.", "no difference beyond chance"
        )
    words = f"{_WORDS[what][found.finding]} than {first}"
    return ComparisonText("beyond chance", _TONES[what][found.finding], f"{words}: {numbers}.", words.lower())


def _view(arm: Release, result: Result) -> ArmResultView:
    return ArmResultView(
        release_id=arm.id,
        version_id=arm.version_id,
        version=arm.version.version,
        completion=ShareView.of(result.completion),
        failures=ShareView.of(result.failure),
        completion_beside=_comparison(result.completion_beside),
        failures_beside=_comparison(result.failure_beside),
    )


def _comparison(found: Comparison | None) -> ComparisonView | None:
    if found is None:
        return None
    value, low, high = found.difference or (None, None, None)
    return ComparisonView(finding=found.finding, difference=value, low=low, high=high)


def experiment_view(experiment: Experiment) -> ExperimentView:
    """Return an experiment as programs see it."""
    return ExperimentView(
        id=experiment.id,
        name=experiment.name,
        channel=experiment.channel.name,
        platform=experiment.platform,
        state=experiment.state,
        arms=[common_views.release_view(arm) for arm in experiment.arms],
        winner_version_id=experiment.winner_version_id,
        created_at=experiment.created_at,
        created_by=experiment.created_by,
        ended_at=experiment.ended_at,
        revision=experiment.revision,
    )
