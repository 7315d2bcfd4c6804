"""Release health for pages and the API: from findings, figures and policies to what callers see.

The verdict itself is not made here: see `ota.health.evaluate` for the tests, `ota.health.status` for their
state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from markupsafe import Markup
from sqlalchemy.orm import Session

from ota.clock import utcnow
from ota.core.lifecycle import HealthTest
from ota.core.platforms import Platform
from ota.core.statistics import Share
from ota.core.telemetry import Stage
from ota.fleet import figures
from ota.fleet.figures import Failures
from ota.health import policy as health_policy
from ota.health.evaluate import TestRecord
from ota.health.policy import Rules
from ota.health.status import status_of
from ota.models import App, Release, ReleaseHealth
from ota.releases import rows as release_rows
from ota.web import charts
from ota.web.health.shapes import FailureView, HealthPoint, HealthTestView, HealthView, PolicyView, ShareView
from ota.web.health.wording import Judgement, judgement, short_time
from ota.web.words import span

_NAMES = {
    HealthTest.CONTROL: "failures against the control",
    HealthTest.ALONE: "failures against the acceptable rate",
    HealthTest.SILENCE: "silence against the control",
}


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Everything that the page of a release shows about its health.

    ``rates`` are the shares of failing devices, and ``silent`` those of silent ones, of rollout and control.
    ``settling`` is the time that reports get to arrive, in words.
    """

    row: ReleaseHealth | None
    judgement: Judgement
    settling: str
    chart: Markup
    funnel: Mapping[str, int]
    rates: Sequence[tuple[str, Share]]
    silent: Sequence[tuple[str, Share]]
    failures: Sequence[Failures]

    @property
    def sentence(self) -> str:
        return self.judgement.sentence

    @property
    def most(self) -> int:
        """The largest number of the funnel."""
        return max(self.funnel.values())

    def is_unreported(self, stage: str) -> bool:
        """Whether devices have the release and none of them has reported this stage."""
        if stage == Stage.FAILED or self.funnel[stage]:
            return False
        return self.funnel[Stage.INSTALLED] > 0 or self.funnel[Stage.HEALTHY] > 0

    @staticmethod
    def scale(rates: Sequence[tuple[str, Share]]) -> float:
        """The share at the right end of a chart of these intervals."""
        return max(found.high for _, found in rates) * 1.1

    @staticmethod
    def named(test: str) -> str:
        """The name of a test."""
        return _NAMES[HealthTest(test)]

    @staticmethod
    def when(seconds: float) -> str:
        """A moment of a curve as ``3 Mar 14:00``."""
        return short_time(datetime.fromtimestamp(seconds, UTC))


@dataclass(frozen=True, slots=True)
class OfferedRelease:
    """A release that devices can be offered, with its health."""

    release: Release
    judgement: Judgement


def of(session: Session, release: Release) -> Monitoring:
    """Return the reports about a release, and what the tests have found so far."""
    row = session.get(ReleaseHealth, release.id)
    settling = health_policy.rules_of(session, release.version.app_id).policy.settling
    return Monitoring(
        row,
        _judgement(session, release, now=utcnow()),
        span(int(settling / timedelta(minutes=1))),
        Markup("") if row is None else _chart(row),
        {stage.value: number for stage, number in figures.funnel(session, release.id).items()},
        _by_side(figures.failure_rates(row)),
        _by_side(figures.silence_rates(row)),
        figures.failures_of(session, release.version, limit=5),
    )


def offered_releases(
    session: Session, app: App, platform: Platform, *, now: datetime
) -> list[OfferedRelease]:
    """Return the started releases that devices of a platform can be offered, the default channel first."""
    offered = [
        each
        for each in release_rows.offered(session, app, now=now)
        if each.platform == platform and each.starts_at <= now
    ]
    offered.sort(key=lambda each: (not each.channel.is_default, each.channel_id))
    return [OfferedRelease(each, _judgement(session, each, now=now)) for each in offered]


def failure_views(found: Sequence[Failures]) -> list[FailureView]:
    """Return failure groups as programs see them."""
    return [
        FailureView(
            version=each.version,
            version_code=each.version_code,
            kind=each.kind,
            signature=each.signature,
            sample=each.sample,
            devices=each.devices,
            events=each.events,
            last_at=each.last_at,
        )
        for each in found
    ]


def health_view(row: ReleaseHealth) -> HealthView:
    """Return the leading test with the state of all of them, as programs see it."""
    first = next(each for each in row.tests if each["test"] == row.test) if row.tests else None
    return HealthView(
        since=row.since,
        evaluated_at=row.evaluated_at,
        is_bad=row.is_bad,
        has_control=row.test != HealthTest.ALONE,
        enrolled=row.enrolled,
        reported=row.reported,
        **msgspec.structs.asdict(test_view(first or _not_evaluated(row))),
    )


def test_view(record: TestRecord) -> HealthTestView:
    """Return the record of one test as programs see it."""
    rollout, control = figures.rates_of(record)
    return HealthTestView(
        test=HealthTest(record["test"]),
        evidence=record["evidence"],
        peak=record["peak"],
        threshold=record["threshold"],
        rollout=rollout and ShareView.of(rollout),
        control=control and ShareView.of(control),
        curve=[_point(each) for each in record["curve"]],
    )


def policy_view(rules: Rules) -> PolicyView:
    """Return an app's health policy as programs see it."""
    values = {**health_policy.values_of(rules), "action": rules.action}
    return PolicyView(**values, revision=rules.revision)


def _judgement(session: Session, release: Release, *, now: datetime) -> Judgement:
    return judgement(status_of(session, release, now=now), now=now)


def _chart(row: ReleaseHealth) -> Markup:
    curves = [(_NAMES[HealthTest(each["test"])], each["curve"]) for each in row.tests]
    return charts.evidence(
        curves, row.threshold, title="Evidence against the release over time", label=Monitoring.when
    )


def _by_side(rates: tuple[Share | None, Share | None]) -> Sequence[tuple[str, Share]]:
    return [
        (name, share) for name, share in zip(("Rollout", "Control"), rates, strict=True) if share is not None
    ]


def _not_evaluated(row: ReleaseHealth) -> TestRecord:
    """The record of a new test that has not been evaluated yet."""
    return TestRecord(
        test=row.test,
        evidence=1.0,
        peak=1.0,
        threshold=row.threshold,
        rollout=0,
        control=0,
        failing_rollout=0,
        failing_control=0,
        curve=[],
    )


def _point(point: Sequence[float]) -> HealthPoint:
    at, rollout, control, failing_rollout, failing_control, evidence = point
    return HealthPoint(
        at=datetime.fromtimestamp(at, UTC),
        rollout=int(rollout),
        control=int(control),
        failing_rollout=int(failing_rollout),
        failing_control=int(failing_control),
        evidence=evidence,
    )
