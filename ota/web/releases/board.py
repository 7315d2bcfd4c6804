"""What is offered where, and to how many: the releases of an app as its pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy.orm import Session

from ota.core.lifecycle import ReleaseState
from ota.core.rollout import FULL
from ota.devices import census
from ota.models import App, Channel, Experiment, Release
from ota.releases import plans
from ota.releases import rows as release_rows
from ota.web.words import ahead, span


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan: ``state`` is done, now, next or later; ``note`` says since when, how long or why not."""

    rollout: int
    state: str
    note: str


@dataclass(frozen=True, slots=True)
class Line:
    """A release, with how many of the ``active`` devices of its platform it is open to and how many run it."""

    release: Release
    active: int
    running: int
    steps: Sequence[Step]
    waits_for: str | None
    is_ahead: bool

    @property
    def has_next_step(self) -> bool:
        release = self.release
        return release.plan_step is not None and release.plan_step + 1 < len(release.plan or ())

    @property
    def can_advance(self) -> bool:
        return self.has_next_step and self.release.state == ReleaseState.ACTIVE and not self.is_ahead

    @property
    def marks(self) -> list[int]:
        """Where the plan's steps lie on the bar, but for its ends."""
        return [step.rollout for step in self.steps if 0 < step.rollout < FULL]

    @property
    def about(self) -> int:
        """How many devices so many percent are, about."""
        return round(self.active * self.release.rollout / FULL)

    @property
    def is_for_everybody(self) -> bool:
        return (
            self.release.rollout == FULL and self.release.state == ReleaseState.ACTIVE and not self.is_ahead
        )


@dataclass(frozen=True, slots=True)
class Place:
    """One channel of one platform: the release on top, and what lies below it."""

    platform: str
    channel: Channel
    lines: Sequence[Line]
    experiment: Experiment | None
    active: int

    @property
    def has_bottom(self) -> bool:
        """Is there something for everybody else?"""
        return any(line.is_for_everybody for line in self.lines)


def places(session: Session, app: App, *, now: datetime) -> list[Place]:
    """Each channel of each platform that offers something, the default channel first."""
    active, running = census.active(session, app, now=now), census.running(session, app, now=now)
    found = []
    offered = sorted(release_rows.offered(session, app, now=now), key=_where)
    for (platform, _, _), group in groupby(offered, key=_where):
        releases = list(group)
        arms = [release for release in releases if release.experiment_id is not None]
        lines = [
            line_of(session, release, active, running, now=now)
            for release in releases
            if release.experiment_id is None
        ]
        lines.sort(key=lambda line: line.is_ahead)
        experiment = arms[0].experiment if arms else None
        found.append(Place(platform, releases[0].channel, lines, experiment, active.get(platform, 0)))
    return found


def line_of(
    session: Session,
    release: Release,
    active: Mapping[str, int],
    running: Mapping[tuple[str, int], int],
    *,
    now: datetime,
) -> Line:
    """One release with its numbers."""
    is_due = (
        release.next_step_at is not None
        and release.next_step_at <= now
        and release.state == ReleaseState.ACTIVE
    )
    waits_for = plans.why_waiting(session, release, now=now) if is_due else None
    code = release.version.version_code
    return Line(
        release,
        active.get(release.platform, 0),
        running.get((release.platform, code), 0),
        steps_of(release, waits_for, now=now),
        waits_for,
        is_ahead=release.starts_at > now and release.is_live,
    )


def steps_of(release: Release, waits_for: str | None, *, now: datetime) -> list[Step]:
    """The plan as a line of steps; empty where there is none."""
    plan, at = release.plan or [], release.plan_step
    if at is None:
        return []
    found = []
    for number, step in enumerate(plan):
        rollout, soak = step["rollout"], span(step["soak_minutes"])
        if number < at:
            found.append(Step(rollout, "done", "done"))
        elif number == at and not release.is_live:
            found.append(Step(rollout, "done", "ended here"))
        elif number == at and release.starts_at > now:
            found.append(
                Step(rollout, "next", f"at the start, for {soak}" if at + 1 < len(plan) else "at the start")
            )
        elif number == at:
            found.append(Step(rollout, "now", "the last step" if at + 1 == len(plan) else f"for {soak}"))
        elif number == at + 1 and release.is_live and release.starts_at <= now:
            found.append(Step(rollout, "next", _when(release, waits_for, now)))
        else:
            found.append(
                Step(
                    rollout,
                    "later",
                    f"after {span(plan[number - 1]['soak_minutes'])}" if release.is_live else "not taken",
                )
            )
    return found


def _when(release: Release, waits_for: str | None, now: datetime) -> str:
    if waits_for is not None:
        return "waits: see below"
    if release.state != ReleaseState.ACTIVE:
        left = f", {ahead(release.soak_left)} left" if release.soak_left else ""
        return f"stands still while {release_rows.state_text(release.state)}{left}"
    if release.next_step_at is None:
        return ""
    if release.next_step_at <= now:
        return "within a minute"
    return f"in {ahead((release.next_step_at - now).total_seconds())}"


def _where(release: Release) -> tuple[str, bool, int]:
    return release.platform, not release.channel.is_default, release.channel_id
