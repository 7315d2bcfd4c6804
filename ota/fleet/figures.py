"""Figures about an app's devices, read from hourly and daily counts, never from single reports.

Figures always belong to one platform: an average over Android and iOS devices means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ota.core.lifecycle import HealthTest
from ota.core.platforms import Platform
from ota.core.statistics import Share, wilson
from ota.core.telemetry import Stage
from ota.core.versions import parse_current_version
from ota.fleet.series import OTHER, Series, series_of
from ota.health.evaluate import TestRecord
from ota.models import (
    Adoption,
    CheckCount,
    Device,
    FailureCount,
    FailureSignature,
    ReleaseCount,
    ReleaseHealth,
    Version,
)


@dataclass(frozen=True, slots=True)
class Failures:
    """A failure group of one version. ``devices`` and ``events`` are those of the requested period."""

    version: str
    version_code: int
    version_id: int
    kind: str
    signature: str
    sample: str | None
    devices: int
    events: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class FleetFigures:
    """The figures of one platform.

    ``running`` has the active devices by version on the day ``counted_on``. ``known`` devices have checked
    and were not forgotten; ``unseen`` counts those without a check for that number of days. ``devices`` of
    ``failures`` are those that failed for the first time in the period.
    """

    platform: Platform
    days: int
    adoption: Series
    running: Sequence[tuple[str, int]]
    counted_on: date | None
    checks: Series
    unseen: Mapping[int, int]
    known: int
    failures: Sequence[Failures]


def fleet(
    session: Session,
    app_id: int,
    platform: Platform,
    *,
    days: int,
    now: datetime,
    most_failures: int | None = 10,
) -> FleetFigures:
    """Return the figures of the last ``days`` days, with at most ``most_failures`` failure groups."""
    counted_on = session.scalar(
        select(func.max(Adoption.day)).where(Adoption.app_id == app_id, Adoption.platform == platform)
    )
    known, unseen = _unseen(session, app_id, platform, now)
    return FleetFigures(
        platform,
        days,
        adoption=adoption(session, app_id, platform, days=days, now=now),
        running=running(session, app_id, platform, counted_on),
        counted_on=counted_on,
        checks=checks(session, app_id, platform, days=days, now=now),
        unseen=unseen,
        known=known,
        failures=top_failures(
            session, app_id, platform, since=now - timedelta(days=days), limit=most_failures
        ),
    )


def adoption(session: Session, app_id: int, platform: Platform, *, days: int, now: datetime) -> Series:
    """Return the active devices by version at the end of each day.

    The `TOP` versions have a name, the newest first; the rest is `OTHER`.
    """
    first = now.date() - timedelta(days=days - 1)
    query = select(Adoption.day, Adoption.app_version, Adoption.devices).where(
        Adoption.app_id == app_id, Adoption.platform == platform, Adoption.day >= first
    )
    rows = [(_midnight(row.day), row.app_version, row.devices) for row in session.execute(query)]
    found = series_of([_midnight(first + timedelta(days=number)) for number in range(days)], rows)
    versions = sorted((name for name in found.names if name != OTHER), key=age, reverse=True)
    return replace(found, names=[*versions, *(name for name in found.names if name == OTHER)])


def age(version: str) -> tuple[object, ...]:
    """Return the sort key of a version: unreadable ones first, then by version code or, without it, name."""
    try:
        found = parse_current_version(version)
    except ValueError:
        return 0, version
    return 1, -1 if found.build is None else found.build, found.name, version


def running(session: Session, app_id: int, platform: Platform, on: date | None) -> Sequence[tuple[str, int]]:
    """Return the active devices by version on a day, the most devices first."""
    query = select(Adoption.app_version, Adoption.devices).where(
        Adoption.app_id == app_id, Adoption.platform == platform, Adoption.day == on
    )
    return [
        (name, number)
        for name, number in session.execute(query.order_by(Adoption.devices.desc(), Adoption.app_version))
    ]


def checks(session: Session, app_id: int, platform: Platform, *, days: int, now: datetime) -> Series:
    """Return the checks by reason.

    Per hour for up to two days, per six hours for up to a week, otherwise per day.
    """
    span = timedelta(hours=1 if days <= 2 else 6 if days <= 7 else 24)
    last = _start_of(now, span)
    moments = [last - span * number for number in reversed(range(int(timedelta(days=days) / span)))]
    query = select(CheckCount.hour, CheckCount.reason, func.sum(CheckCount.checks)).where(
        CheckCount.app_id == app_id, CheckCount.platform == platform, CheckCount.hour >= moments[0]
    )
    rows = session.execute(query.group_by(CheckCount.hour, CheckCount.reason))
    return series_of(moments, [(_start_of(hour, span), reason, int(number)) for hour, reason, number in rows])


def funnel(session: Session, release_id: int) -> Mapping[Stage, int]:
    """Return the number of devices that reached each stage of a release."""
    query = select(ReleaseCount.stage, func.sum(ReleaseCount.devices)).where(
        ReleaseCount.release_id == release_id
    )
    found = {stage: int(number) for stage, number in session.execute(query.group_by(ReleaseCount.stage))}
    return {stage: found.get(stage, 0) for stage in Stage}


def failure_rates(row: ReleaseHealth | None) -> tuple[Share | None, Share | None]:
    """Return the shares of failing devices in the rollout and in the control group, as of the last look.

    None without devices.
    """
    told = _tests(row)
    return rates_of(told.get(HealthTest.CONTROL) or told.get(HealthTest.ALONE))


def silence_rates(row: ReleaseHealth | None) -> tuple[Share | None, Share | None]:
    """Return the shares of regular devices that fell silent, in the rollout and in the control group.

    None without devices, or if the policy has no test for silence.
    """
    return rates_of(_tests(row).get(HealthTest.SILENCE))


def rates_of(told: TestRecord | None) -> tuple[Share | None, Share | None]:
    """Return the shares of failing or silent devices of one test, in the rollout and in the control group."""
    if told is None:
        return None, None
    return _rate(told["failing_rollout"], told["rollout"]), _rate(told["failing_control"], told["control"])


def top_failures(
    session: Session, app_id: int, platform: str, *, since: datetime, limit: int | None = 10
) -> Sequence[Failures]:
    """Return failure groups by the number of devices that failed for the first time since a day."""
    counted = (
        select(
            FailureCount.signature_id,
            func.sum(FailureCount.devices).label("devices"),
            func.sum(FailureCount.events).label("events"),
        )
        .where(FailureCount.day >= since.date())
        .group_by(FailureCount.signature_id)
        .subquery()
    )
    query = (
        select(FailureSignature, Version, counted.c.devices, counted.c.events)
        .join(counted, counted.c.signature_id == FailureSignature.id)
        .join(Version, Version.id == FailureSignature.version_id)
        .where(Version.app_id == app_id, Version.platform == platform)
        .order_by(counted.c.devices.desc(), counted.c.events.desc(), FailureSignature.id.desc())
        .limit(limit)
    )
    return [
        _failure(each, version, int(devices), int(events))
        for each, version, devices, events in session.execute(query)
    ]


def failures_of(session: Session, version: Version, *, limit: int) -> Sequence[Failures]:
    """Return the failure groups of a version over its whole life, the most devices first."""
    query = select(FailureSignature).where(FailureSignature.version_id == version.id)
    found = session.scalars(
        query.order_by(FailureSignature.devices.desc(), FailureSignature.id.desc()).limit(limit)
    )
    return [_failure(each, version, each.devices, each.events) for each in found]


def _failure(each: FailureSignature, version: Version, devices: int, events: int) -> Failures:
    return Failures(
        version.version,
        version.version_code,
        version.id,
        each.kind,
        each.signature,
        each.sample,
        devices,
        events,
        each.last_at,
    )


def _unseen(
    session: Session, app_id: int, platform: Platform, now: datetime
) -> tuple[int, Mapping[int, int]]:
    known = (
        select(func.count()).select_from(Device).where(Device.app_id == app_id, Device.platform == platform)
    )
    found = {
        days: session.scalar(known.where(Device.last_seen_at <= now - timedelta(days=days))) or 0
        for days in (7, 30)
    }
    return session.scalar(known) or 0, found


def _tests(row: ReleaseHealth | None) -> Mapping[str, TestRecord]:
    return {each["test"]: each for each in (row.tests if row is not None else ())}


def _rate(count: int, total: int) -> Share | None:
    return wilson(count, total) if total else None


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _start_of(at: datetime, span: timedelta) -> datetime:
    hours = int(span / timedelta(hours=1))
    return at.replace(hour=at.hour - at.hour % hours, minute=0, second=0, microsecond=0)
