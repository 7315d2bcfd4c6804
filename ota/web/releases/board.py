"""The board of an app: what each channel of each platform offers, and to how many devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
class BoardStep:
    """One step of a plan.

    ``state`` is done, now, next or later; ``note`` describes its time or what holds it.
    """

    rollout: int
    state: str
    note: str


@dataclass(frozen=True, slots=True)
class BoardLine:
    """A release. Of the ``active`` devices of its platform, ``running`` run its version.

    ``waits_for`` is the gate that holds a due step. ``is_ahead``: it is live and has not started.
    """

    release: Release
    active: int
    running: int
    steps: Sequence[BoardStep]
    waits_for: str | None
    is_ahead: bool
    has_next_step: bool
    can_advance: bool
    is_for_everybody: bool

    @property
    def marks(self) -> list[int]:
        """The rollouts of the plan's steps inside the bar."""
        return [step.rollout for step in self.steps if 0 < step.rollout < FULL]

    @property
    def about(self) -> int:
        """Approximate number of devices at this percentage."""
        return round(self.active * self.release.rollout / FULL)


@dataclass(frozen=True, slots=True)
class BoardPlace:
    """One channel of one platform, with its releases from the top down."""

    platform: str
    channel: Channel
    lines: Sequence[BoardLine]
    experiment: Experiment | None
    active: int

    @property
    def has_bottom(self) -> bool:
        """Is there a release for the devices that no other release includes?"""
        return any(line.is_for_everybody for line in self.lines)


def places(session: Session, app: App, *, now: datetime) -> list[BoardPlace]:
    """Return each channel of each platform that offers something, the default channel first."""
    active, running = census.active(session, app, now=now), census.running(session, app, now=now)
    found = []
    offered = sorted(release_rows.offered(session, app, now=now), key=_place_of)
    for (platform, _, _), group in groupby(offered, key=_place_of):
        releases = list(group)
        arms = [release for release in releases if release.experiment_id is not None]
        lines = [
            line_of(session, release, active, running, now=now)
            for release in releases
            if release.experiment_id is None
        ]
        lines.sort(key=lambda line: line.is_ahead)
        experiment = arms[0].experiment if arms else None
        found.append(BoardPlace(platform, releases[0].channel, lines, experiment, active.get(platform, 0)))
    return found


def line_of(
    session: Session,
    release: Release,
    active: Mapping[str, int],
    running: Mapping[tuple[str, int], int],
    *,
    now: datetime,
) -> BoardLine:
    """Return a release with its numbers of active devices, by platform and by platform and version code."""
    waits_for = plans.why_overdue(session, release, now=now)
    return BoardLine(
        release,
        active=active.get(release.platform, 0),
        running=running.get((release.platform, release.version.version_code), 0),
        steps=list(_steps(release, waits_for, now)),
        waits_for=waits_for,
        is_ahead=release.starts_at > now and release.is_live,
        has_next_step=plans.has_next_step(release),
        can_advance=plans.can_advance(release, now=now),
        is_for_everybody=release_rows.is_open_to_all(release, now=now),
    )


def _steps(release: Release, waits_for: str | None, now: datetime) -> Iterator[BoardStep]:
    if release.plan_step is None:
        return
    for number, step in enumerate(release.plan or ()):
        if number < release.plan_step:
            state, note = "done", "done"
        elif number == release.plan_step:
            state, note = _present_step(release, step["soak_minutes"], now)
        else:
            state, note = _later_step(release, number, waits_for, now)
        yield BoardStep(step["rollout"], state, note)


def _present_step(release: Release, soak_minutes: int, now: datetime) -> tuple[str, str]:
    is_last = not plans.has_next_step(release)
    if not release.is_live:
        return "done", "ended here"
    if release.starts_at > now:
        return "next", "at the start" if is_last else f"at the start, for {span(soak_minutes)}"
    return "now", "the last step" if is_last else f"for {span(soak_minutes)}"


def _later_step(release: Release, number: int, waits_for: str | None, now: datetime) -> tuple[str, str]:
    if not release.is_live:
        return "later", "not taken"
    if number == (release.plan_step or 0) + 1 and release.starts_at <= now:
        return "next", _when(release, waits_for, now)
    return "later", f"after {span((release.plan or [])[number - 1]['soak_minutes'])}"


def _when(release: Release, waits_for: str | None, now: datetime) -> str:
    """Return when the next step is taken, in words."""
    if waits_for is not None:
        return "waits: see below"
    if release.state != ReleaseState.ACTIVE:
        left = f", {ahead(release.soak_left)} left" if release.soak_left else ""
        return f"stands still while {release_rows.state_text(release.state)}{left}"
    if release.next_step_at is None:
        return ""
    if plans.is_due(release, now=now):
        return "within a minute"
    return f"in {ahead((release.next_step_at - now).total_seconds())}"


def _place_of(release: Release) -> tuple[str, bool, int]:
    return release.platform, not release.channel.is_default, release.channel_id
