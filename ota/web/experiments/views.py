"""What an experiment has shown, as its page and the API tell it."""

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
class Told:
    """A comparison in words. ``tone`` is that of the pill with the ``verdict``: good, bad or quiet."""

    verdict: str
    tone: str
    sentence: str
    short: str


@dataclass(frozen=True, slots=True)
class Row:
    """An arm and how it does; what is None was not compared."""

    arm: Release
    result: Result
    completion: Told | None
    failure: Told | None


@dataclass(frozen=True, slots=True)
class Results:
    """All arms. ``completion_scale`` and ``failure_scale`` are the shares at the right ends of their intervals."""

    rows: Sequence[Row]

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
    """What its devices have shown so far."""
    found = list(zip(experiment.arms, results.of(session, experiment), strict=True))
    first = experiment.arms[0].version.version if experiment.arms else ""
    return Results(
        [
            Row(
                arm,
                result,
                _told("completion", result.completion_beside, first),
                _told("failure", result.failure_beside, first),
            )
            for arm, result in found
        ]
    )


def views(session: Session, experiment: Experiment) -> list[ArmResultView]:
    """The same for programs."""
    return [
        _view(arm, result)
        for arm, result in zip(experiment.arms, results.of(session, experiment), strict=True)
    ]


def _told(what: str, found: Comparison | None, first: str) -> Told | None:
    if found is None:
        return None
    if found.difference is None:
        told = f"To compare it with {first}, {ENOUGH} devices of each are needed."
        return Told("too few devices", "quiet", told, "too few devices")
    low, value, high = (
        f"{100 * each:+.1f}" for each in (found.difference.low, found.difference.value, found.difference.high)
    )
    numbers = f"{value} points ({low} to {high})"
    if found.finding is Finding.CHANCE:
        return Told("could be chance", "quiet", f"Against {first}: {numbers}.", "no difference beyond chance")
    words = f"{_WORDS[what][found.finding]} than {first}"
    return Told("beyond chance", _TONES[what][found.finding], f"{words}: {numbers}.", words.lower())


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
