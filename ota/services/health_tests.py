"""The tests of a release: whom each of them looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.core.health import Member, Point, Policy, Verdict, with_control, without_control
from ota.core.lifecycle import HealthTest
from ota.core.silence import at_risk_of_silence
from ota.models import Release, ReleaseDevice
from ota.services import silence

_POINTS = 200


class Found(NamedTuple):
    """What a test says of a release."""

    test: HealthTest
    verdict: Verdict


class Told(TypedDict):
    """The same as it is kept. ``curve`` has at most some hundred points: ``[seconds since 1970, rollout, control, failing rollout,
    failing control, evidence]``."""

    test: str
    evidence: float
    peak: float
    threshold: float
    rollout: int
    control: int
    failing_rollout: int
    failing_control: int
    curve: list[list[float]]


def members(session: Session, release_id: int, since: datetime) -> list[Member]:
    """The devices that enrolled in the release or in its control since then, each with its one vote."""
    query = select(
        ReleaseDevice.enrolled_at, ReleaseDevice.failed_at, ReleaseDevice.is_control, ReleaseDevice.left_at, ReleaseDevice.healthy_at
    ).where(ReleaseDevice.release_id == release_id, ReleaseDevice.enrolled_at >= since)
    return [Member(*row) for row in session.execute(query)]  # type: ignore[arg-type]  # Who has enrolled has a time.


def run(session: Session, release: Release, enrolled: Sequence[Member], policy: Policy, *, since: datetime, now: datetime) -> list[Found]:
    """Each test that can say something. They share the alpha in equal parts, so that whichever speaks, a good release is called bad
    with that probability at most."""
    has_silence = bool(policy.silence)
    shared = replace(policy, alpha=policy.alpha / (3 if has_silence else 2))
    found = [
        Found(HealthTest.CONTROL, with_control(enrolled, shared, now)),
        Found(HealthTest.ALONE, without_control(enrolled, shared, now)),
    ]
    if has_silence:
        silence.note(session, release, policy, since=since, now=now)
        regular = at_risk_of_silence(silence.members(session, release.id, since), policy.silence)
        found.append(Found(HealthTest.SILENCE, with_control(regular, shared, now)))
    return [each for each in found if each.test is HealthTest.ALONE or each.verdict.control]


def speaking(found: Sequence[Found]) -> Found:
    """The one that is told first: the first that calls the release bad, else the one with the most evidence."""
    for each in found:
        if each.verdict.is_bad:
            return each
    return max(found, key=lambda each: each.verdict.evidence)


def told(found: Found) -> Told:
    verdict = found.verdict
    return Told(
        test=found.test.value, evidence=verdict.evidence, peak=verdict.peak, threshold=verdict.threshold, rollout=verdict.rollout,
        control=verdict.control, failing_rollout=verdict.failing_rollout, failing_control=verdict.failing_control,
        curve=[_plain_point(each) for each in _thinned(verdict.curve)],
    )  # fmt: skip


def _thinned(curve: Sequence[Point]) -> Sequence[Point]:
    """At most so many points, with the first, the last and the highest."""
    if len(curve) <= _POINTS:
        return curve
    step = len(curve) / (_POINTS - 2)
    kept = {*(int(number * step) for number in range(_POINTS - 2)), len(curve) - 1}
    kept.add(max(range(len(curve)), key=lambda place: curve[place].evidence))
    return [curve[place] for place in sorted(kept)]


def _plain_point(point: Point) -> list[float]:
    return [point.at.timestamp(), point.rollout, point.control, point.failing_rollout, point.failing_control, round(point.evidence, 6)]
