"""How a release goes, as its page, the page of the fleet and the API tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from markupsafe import Markup
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ota.clock import utcnow
from ota.core.lifecycle import HealthTest
from ota.core.platforms import Platform
from ota.core.statistics import Share
from ota.core.telemetry import Stage
from ota.devices import devices
from ota.fleet import figures
from ota.fleet.figures import Failures
from ota.health import findings
from ota.health import policy as health_policy
from ota.models import App, Release, ReleaseDevice, ReleaseHealth
from ota.releases import rows as release_rows
from ota.releases import watch
from ota.web import charts
from ota.web.health.shapes import FailureView
from ota.web.words import span

_NAMES = {
    HealthTest.CONTROL: "failures against the control",
    HealthTest.ALONE: "failures against the acceptable rate",
    HealthTest.SILENCE: "silence against the control",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What can be said of a release's health so far. ``tone`` is that of the pill with the ``label``: good only where devices are
    judged already."""

    label: str
    tone: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Monitoring:
    """``rates`` are the shares of failing and ``silent`` of silent devices, of the rollout and of the control; ``most`` is the largest
    number of the funnel. ``settling``: how long reports are given to arrive, in words."""

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
        return max(self.funnel.values())

    def is_unreported(self, stage: str) -> bool:
        """Do devices tell nothing of this stage? They have the release, and none has said it."""
        if stage == Stage.FAILED or self.funnel[stage]:
            return False
        return self.funnel[Stage.INSTALLED] > 0 or self.funnel[Stage.HEALTHY] > 0

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
        return _time(datetime.fromtimestamp(seconds, UTC))


@dataclass(frozen=True, slots=True)
class Standing:
    """A release that devices can be offered, and its health in a line."""

    release: Release
    judgement: Judgement


def of(session: Session, release: Release) -> Monitoring:
    """What devices have reported about the release, and what the test has found so far."""
    row = session.get(ReleaseHealth, release.id)
    chart = Markup("")
    if row is not None:
        curves = [(_NAMES[HealthTest(each["test"])], each["curve"]) for each in row.tests]
        chart = charts.evidence(
            curves, row.threshold, title="Evidence against the release over time", label=Monitoring.when
        )
    return Monitoring(
        row,
        judged(session, release, now=utcnow()),
        span(int(_settling(session, release) / timedelta(minutes=1))),
        chart,
        {stage.value: number for stage, number in figures.funnel(session, release.id).items()},
        _beside(figures.failure_rates(row)),
        _beside(figures.silence_rates(row)),
        figures.failures_of(session, release.version, limit=5),
    )


def standing(session: Session, app: App, platform: Platform, *, now: datetime) -> list[Standing]:
    """The releases of a platform that its devices can be offered, the default channel first, each with its health."""
    offered = [
        each
        for each in release_rows.offered(session, app, now=now)
        if each.platform == platform and each.starts_at <= now
    ]
    offered.sort(key=lambda each: (not each.channel.is_default, each.channel_id))
    return [Standing(each, judged(session, each, now=now)) for each in offered]


def judged(session: Session, release: Release, *, now: datetime) -> Judgement:
    """What the tests say of the release, or why they can't say anything yet."""
    row = session.get(ReleaseHealth, release.id)
    if row is not None and row.is_bad:
        return Judgement("bad", "bad", findings.sentence(row))
    if not release.version.app.keeps_devices:
        return Judgement(
            "not judged", "quiet", "The app keeps nothing about single devices, so no test can look at them."
        )
    if row is not None and row.is_suspect and release.is_live:
        return Judgement(
            "looks bad",
            "warn",
            f"{findings.sentence(row)} What was reported last is not settled yet; with it, it would be bad.",
        )
    if row is not None and any(each["rollout"] for each in row.tests):
        return Judgement("nothing found", "good", findings.sentence(row))
    if not release.is_live:
        return Judgement("not judged", "quiet", "It ended before devices could be judged.")
    if release.full_since is not None and release.full_since <= now - watch.WATCHED_FOR:
        return Judgement(
            "not judged",
            "quiet",
            f"It has been open to everybody for {watch.WATCHED_FOR.days} days: nobody looks any more.",
        )
    return _too_early(session, release, row, now=now)


def _too_early(session: Session, release: Release, row: ReleaseHealth | None, *, now: datetime) -> Judgement:
    is_again = row is not None and row.since > release.starts_at
    since = row.since if row is not None else release.starts_at
    label = "a new test" if is_again else "too early"
    began = (
        f"A new test began at {_clock(since, now)}: devices that are offered it from then on are judged. "
        if is_again
        else ""
    )
    query = select(func.min(ReleaseDevice.enrolled_at), func.count()).where(
        ReleaseDevice.release_id == release.id,
        ReleaseDevice.enrolled_at >= since,
        ReleaseDevice.is_control.is_(False),
    )
    first, number = session.execute(query).one()
    if first is None:
        return Judgement(
            label,
            "quiet",
            f"{began}{'None has been yet.' if is_again else _nobody(session, release, now=now)}",
        )
    have = f"{number:,} {'device has' if number == 1 else 'devices have'} been"
    at = first + _settling(session, release)
    then = (
        f"failures are judged from {_clock(at, now)} on"
        if at > now
        else "the first look at them is a matter of a minute"
    )
    return Judgement(label, "quiet", f"{began}{have}{'' if is_again else ' offered it'}; {then}.")


def _nobody(session: Session, release: Release, *, now: datetime) -> str:
    running = devices.stranded(session, release.version, now=now)
    if not running:
        return "No device has been offered it yet."
    run = "1 device runs it and was" if running == 1 else f"{running:,} devices run it and were"
    return f"{run} not offered it by this release, so there is nothing to judge."


def _settling(session: Session, release: Release) -> timedelta:
    return health_policy.rules_of(session, release.version.app_id).policy.settling


def _clock(at: datetime, now: datetime) -> str:
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{_time(at)} UTC"


def _time(at: datetime) -> str:
    return f"{at.day} {at:%b %H:%M}"


def _beside(rates: tuple[Share | None, Share | None]) -> Sequence[tuple[str, Share]]:
    return [
        (name, share) for name, share in zip(("Rollout", "Control"), rates, strict=True) if share is not None
    ]


def failure_views(found: Sequence[Failures]) -> list[FailureView]:
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
