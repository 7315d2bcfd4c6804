"""The versions that devices run according to their reports, between two checks.

A completed update, an installation or a successful launch shows the version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from ota.core.platforms import Platform
from ota.core.versions import compare_to_device, parse_current_version
from ota.devices import devices
from ota.models import Device, Version
from ota.telemetry import journeys
from ota.telemetry.completions import Completion
from ota.telemetry.hourly_counts import HourlyCounts
from ota.telemetry.meaning import PROVES_RUNNING, counted_at
from ota.telemetry.records import CompletionReport, EventReport

Report = EventReport | CompletionReport


class _NamedVersion(NamedTuple):
    """An existing version that a report names."""

    id: int
    name: str
    code: int

    @property
    def text(self) -> str:
        return f"{self.name}+{self.code}"


class _NamedVersions:
    """The existing versions that reports name."""

    def __init__(self, session: Session, reports: Sequence[Report]) -> None:
        texts = {
            text
            for each in reports
            if isinstance(each, CompletionReport)
            for text in (each.from_version, each.to_version)
        }
        parsed = [parse_current_version(text) for text in texts]
        is_named = or_(
            Version.id.in_({each.version_id for each in reports if isinstance(each, EventReport)}),
            Version.version_code.in_({each.build for each in parsed if each.build is not None}),
            Version.version.in_({each.text.removeprefix("v") for each in parsed if each.build is None}),
        )
        query = select(Version.app_id, Version.platform, Version.id, Version.version, Version.version_code)
        self._found: dict[tuple[int, str, str | int], _NamedVersion] = {}
        self._by_id: dict[int, _NamedVersion] = {}
        for row in session.execute(query.where(is_named).order_by(Version.version_code)):
            version = self._by_id[row.id] = _NamedVersion(row.id, row.version, row.version_code)
            for key in (row.version, row.version_code):
                self._found[row.app_id, row.platform, key] = version

    def of_report(self, report: Report) -> _NamedVersion | None:
        """The version that the device runs after the report."""
        if isinstance(report, EventReport):
            return self._by_id.get(report.version_id)
        return self.of_text(report, report.to_version)

    def of_text(self, report: CompletionReport, text: str) -> _NamedVersion | None:
        """The version with the text's build number, else the newest one with its name."""
        named = parse_current_version(text)
        key = named.text.removeprefix("v") if named.build is None else named.build
        return self._found.get((report.app_id, report.platform, key))


def note(session: Session, counts: HourlyCounts, reports: Sequence[Report], *, secret: str) -> list[Report]:
    """Update the versions of known devices, if a report is later than their last check and shows a newer one.

    Returns the reports, with completions named as checks name their versions (``1.1.0+2``), so that one
    update is one completion.
    """
    showing = [each for each in reports if isinstance(each, CompletionReport) or each.kind in PROVES_RUNNING]
    if not showing:
        return list(reports)
    versions = _NamedVersions(session, showing)
    hashes = {each.device_id: devices.hashed(secret, each.device_id) for each in showing}
    known = _known(session, showing, hashes)
    moved: list[Completion] = []
    renamed: dict[int, Report] = {}
    for each in sorted(showing, key=counted_at):
        device = known.get((each.app_id, each.platform, hashes[each.device_id]))
        if isinstance(each, CompletionReport):
            renamed[id(each)] = _renamed(versions, each, device)
        moved += _moved(session, each, device, versions.of_report(each))
    journeys.follow(session, counts, moved, is_inferred=False)
    return [renamed.get(id(each), each) for each in reports]


def _moved(
    session: Session, report: Report, device: Device | None, version: _NamedVersion | None
) -> list[Completion]:
    """Update the device's version. Returns the completion that an event shows."""
    if device is None or version is None:
        return []
    at = counted_at(report)
    before = _move(session, device, version, at)
    if before is None or not isinstance(report, EventReport):
        return []
    after, platform = device.app_version, Platform(report.platform)
    return [Completion(report.app_id, platform, device.device_hash, before, after, version.code, at)]


def _known(
    session: Session, reports: Iterable[Report], hashes: Mapping[str, str]
) -> dict[tuple[int, str, str], Device]:
    reports = list(reports)
    query = select(Device).where(
        Device.app_id.in_({each.app_id for each in reports}),
        Device.platform.in_({each.platform for each in reports}),
        Device.device_hash.in_(set(hashes.values())),
    )
    found = session.scalars(query.execution_options(populate_existing=True))
    return {(each.app_id, each.platform, each.device_hash): each for each in found}


def _move(session: Session, device: Device, version: _NamedVersion, at: datetime) -> str | None:
    """Write the device's new version, and return its old one. Return None if nothing changes."""
    runs = parse_current_version(device.app_version)
    if at < device.last_seen_at or compare_to_device(version.code, version.name, runs) <= 0:
        return None
    # Named as the device itself names versions: with the build, or without.
    after = {
        "app_version": version.name if runs.build is None else version.text,
        "version_code": None if runs.build is None else version.code,
    }
    session.execute(
        update(Device).where(Device.id == device.id).values(after),
        execution_options={"synchronize_session": False},
    )
    for column, value in after.items():
        set_committed_value(device, column, value)
    return runs.text


def _renamed(versions: _NamedVersions, report: CompletionReport, device: Device | None) -> CompletionReport:
    def renamed(text: str) -> str:
        version = versions.of_text(report, text)
        if version is None:
            return text
        runs = None if device is None else parse_current_version(device.app_version)
        return runs.text if runs is not None and version.code == runs.build else version.text

    return msgspec.structs.replace(
        report, from_version=renamed(report.from_version), to_version=renamed(report.to_version)
    )
