"""What devices say that they run now, between two checks: told by a completed update, an installation, or a start that went well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from ota.core.health_tests import Policy, placed_at
from ota.core.platforms import Platform
from ota.core.telemetry import EventKind
from ota.core.versions import compare_to_device, parse_current_version
from ota.devices import devices
from ota.models import Device, Version
from ota.telemetry import journeys
from ota.telemetry.hourly_counts import Tallies
from ota.telemetry.journeys import Completion
from ota.telemetry.records import CompletionReport, EventReport

Report = EventReport | CompletionReport

_RUNS_IT = frozenset({EventKind.INSTALLED, EventKind.LAUNCH_OK})
_POLICY = Policy()
"""How long reports may be on their way is the same for all apps."""

_KEEPS_OTHERS = {"synchronize_session": False}


class _Name(NamedTuple):
    """A version that there is."""

    id: int
    name: str
    code: int

    @property
    def text(self) -> str:
        return f"{self.name}+{self.code}"


class _Names:
    """The versions that reports name."""

    def __init__(self, session: Session, said: Sequence[Report]) -> None:
        texts = {
            text
            for each in said
            if isinstance(each, CompletionReport)
            for text in (each.from_version, each.to_version)
        }
        parsed = [parse_current_version(text) for text in texts]
        is_named = or_(
            Version.id.in_({each.version_id for each in said if isinstance(each, EventReport)}),
            Version.version_code.in_({each.build for each in parsed if each.build is not None}),
            Version.version.in_({each.text.removeprefix("v") for each in parsed if each.build is None}),
        )
        query = select(Version.app_id, Version.platform, Version.id, Version.version, Version.version_code)
        self._found: dict[tuple[int, str, str | int], _Name] = {}
        self._by_id: dict[int, _Name] = {}
        for row in session.execute(query.where(is_named).order_by(Version.version_code)):
            name = self._by_id[row.id] = _Name(row.id, row.version, row.version_code)
            self._found[row.app_id, row.platform, row.version] = self._found[
                row.app_id, row.platform, row.version_code
            ] = name

    def of_event(self, report: EventReport) -> _Name | None:
        return self._by_id.get(report.version_id)

    def of_text(self, report: CompletionReport, text: str) -> _Name | None:
        """By build number, or the newest with that name."""
        said = parse_current_version(text)
        key = said.text.removeprefix("v") if said.build is None else said.build
        return self._found.get((report.app_id, report.platform, key))


def note(session: Session, tallies: Tallies, reports: Sequence[Report], *, secret: str) -> list[Report]:
    """Let the known devices run what they say that they run, where it is newer than what they ran and said later than their last check.

    Answers the reports with completions named as checks name their versions (``1.1.0+2``), so that one update is one completion.
    """
    said = [each for each in reports if isinstance(each, CompletionReport) or each.kind in _RUNS_IT]
    if not said:
        return list(reports)
    names, hashes = (
        _Names(session, said),
        {each.device_id: devices.hashed(secret, each.device_id) for each in said},
    )
    known = _known(session, said, hashes)
    moved: list[Completion] = []
    named: dict[int, Report] = {}
    for each in sorted(said, key=_moment):
        device = known.get((each.app_id, each.platform, hashes[each.device_id]))
        if isinstance(each, CompletionReport):
            named[id(each)] = _named(names, each, device)
        name = names.of_event(each) if isinstance(each, EventReport) else names.of_text(each, each.to_version)
        before = None if device is None or name is None else _move(session, device, name, _moment(each))
        if before is not None and device is not None and name is not None and isinstance(each, EventReport):
            platform = Platform(each.platform)
            moved.append(
                Completion(
                    each.app_id,
                    platform,
                    device.device_hash,
                    before,
                    device.app_version,
                    name.code,
                    _moment(each),
                )
            )
    journeys.follow(session, tallies, moved, is_inferred=False)
    return [named.get(id(each), each) for each in reports]


def _moment(report: Report) -> datetime:
    return (
        report.at
        if isinstance(report, CompletionReport)
        else placed_at(report.at, report.received_at, _POLICY)
    )


def _known(
    session: Session, said: Iterable[Report], hashes: Mapping[str, str]
) -> dict[tuple[int, str, str], Device]:
    said = list(said)
    query = select(Device).where(
        Device.app_id.in_({each.app_id for each in said}),
        Device.platform.in_({each.platform for each in said}),
        Device.device_hash.in_(set(hashes.values())),
    )
    found = session.scalars(query.execution_options(populate_existing=True))
    return {(each.app_id, each.platform, each.device_hash): each for each in found}


def _move(session: Session, device: Device, name: _Name, at: datetime) -> str | None:
    """Answers what it ran before; None where nothing changes."""
    runs = parse_current_version(device.app_version)
    if at < device.last_seen_at or compare_to_device(name.code, name.name, runs) <= 0:
        return None
    # As the device itself names versions: with the build, or without.
    after = {
        "app_version": name.name if runs.build is None else name.text,
        "version_code": None if runs.build is None else name.code,
    }
    session.execute(
        update(Device).where(Device.id == device.id).values(after), execution_options=_KEEPS_OTHERS
    )
    for column, value in after.items():
        set_committed_value(device, column, value)
    return runs.text


def _named(names: _Names, report: CompletionReport, device: Device | None) -> CompletionReport:
    def named(text: str) -> str:
        name = names.of_text(report, text)
        if name is None:
            return text
        runs = None if device is None else parse_current_version(device.app_version)
        is_this = runs is not None and name.code == runs.build
        return runs.text if runs is not None and is_this else name.text

    return msgspec.structs.replace(
        report, from_version=named(report.from_version), to_version=named(report.to_version)
    )
