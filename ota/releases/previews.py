"""Previews: the decision applied to the active devices, before a release is made or changed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from ota import catalogs
from ota.core.catalog import Candidate, Catalog
from ota.core.decision import NoUpdate, Reason, UpdateQuery, decide, latest_for_everybody
from ota.core.lifecycle import ReleaseState
from ota.core.versions import CurrentVersion, parse_current_version, parse_name
from ota.devices import groups as device_groups
from ota.devices.devices import ACTIVE_WITHIN, query_of
from ota.errors import Conflict
from ota.models import Channel, Device, DeviceGroupMember, Release, Version
from ota.releases import drafts
from ota.releases import rows as release_rows
from ota.releases.terms import Terms

MAX_DECIDED = 5_000
"""Devices for which the decision is computed. With more, a sample of this size is scaled."""

SIMULATED = 1_000
"""Devices that are simulated for an app without active devices."""

NEWER_RELEASE = "newer_release"
"""Held back: the device is offered a newer release."""

FLOOR_FIRST = "floor_first"
"""Held back: the device is offered a floor first."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Numbers of devices.

    Of the ``active`` ones, ``offered`` would get the release now, ``mandatory`` of them as mandatory.

    ``current`` devices run it or a newer version. ``held_back`` counts the others by `Reason`,
    `NEWER_RELEASE` or `FLOOR_FIRST`. ``is_simulated``: no device is known, so all of them are simulated.
    ``is_sampled``: the numbers are scaled from a sample.
    """

    active: int
    offered: int
    mandatory: int
    current: int
    held_back: Mapping[str, int]
    is_simulated: bool
    is_sampled: bool


def draft(
    session: Session,
    version: Version,
    channel: Channel,
    *,
    rollout: int | None = None,
    terms: Terms | None = None,
    now: datetime,
) -> Release:
    """Return the release that `acts.start` would make.

    It never gets into the database. Raises `Invalid` or `NotFound`.
    """
    made = drafts.draft_release(session, version, channel, rollout, terms or Terms(), now)
    groups = device_groups.named(session, version.app, terms.groups) if terms else []
    made.salt = "preview"  # The same draw in every preview.
    # An assignment would add it to the version's releases, and so to the database.
    for name, value in (("version", version), ("channel", channel), ("groups", groups)):
        set_committed_value(made, name, value)
    return made


def preview(
    session: Session, release: Release, now: datetime, rollout: int | None = None, *, is_resumed: bool = False
) -> Preview:
    """Return the effect of a release as it is, with another ``rollout`` (basis points), or resumed.

    The server does not know which channel a device follows, so all active devices of the app on the platform
    are counted as if they followed this one. A scheduled release is decided as of its start. Stored hashes
    stand in for device ids, so a percentage draws the right number of devices, but not the same ones as the
    release.
    """
    candidate = catalogs.candidate_of(
        session, release, release.version, release.channel, [group.id for group in release.groups]
    )
    if rollout is not None:
        candidate = replace(candidate, rollout=rollout)
    if is_resumed:
        candidate = replace(candidate, state=ReleaseState.ACTIVE)
    before = catalogs.load(session, release.channel_id, release.platform)
    trial = _Trial.of(candidate, before, now)
    found = _Counts()
    for conditions in _strata(release, candidate, now):
        found.add(*_outcomes(session, trial, conditions))
    if found.active == 0:
        return _simulated(trial, candidate, before, now)
    return found.preview()


def check_live(release: Release) -> Release:
    """Return the release. Raises `Conflict` if it has ended."""
    if not release.is_live:
        raise Conflict(
            "wrong_state",
            "The release has ended: nobody is offered it any more.",
            current=release_rows.summary(release),
        )
    return release


_Conditions = tuple[ColumnElement[bool], ...]


def _strata(release: Release, candidate: Candidate, now: datetime) -> list[_Conditions]:
    """Return conditions for the active devices, apart for members of the release's groups.

    Members are few and chosen by name, so a sample must not miss them.
    """
    active: _Conditions = (
        Device.app_id == release.version.app_id,
        Device.platform == release.platform,
        Device.last_seen_at > now - ACTIVE_WITHIN,
    )
    if not candidate.groups:
        return [active]
    members = select(DeviceGroupMember.device_hash).where(DeviceGroupMember.group_id.in_(candidate.groups))
    return [(*active, Device.device_hash.in_(members)), (*active, Device.device_hash.not_in(members))]


@dataclass(frozen=True, slots=True)
class _Trial:
    """The release ``alone``, which shows why it is held back, and within the ``whole`` catalog."""

    candidate: Candidate
    alone: Catalog
    whole: Catalog
    moment: datetime

    @classmethod
    def of(cls, candidate: Candidate, before: Catalog, now: datetime) -> _Trial:
        moment = max(now, candidate.starts_at or now)
        alone = Catalog.of([candidate], is_shut_off=before.is_shut_off)
        return cls(candidate, alone, before.with_release(candidate), moment)

    def outcome(self, query: UpdateQuery) -> str:
        alone = decide(query, self.alone, self.moment)
        if isinstance(alone, NoUpdate):
            return _CURRENT if alone.reason in _IS_CURRENT else alone.reason
        whole = decide(query, self.whole, self.moment)
        if isinstance(whole, NoUpdate):
            return whole.reason
        if whole.candidate.version_id == self.candidate.version_id:
            return _MANDATORY if whole.is_mandatory else _OFFERED
        return FLOOR_FIRST if whole.candidate.version_code < self.candidate.version_code else NEWER_RELEASE


class _Counts:
    """Counts of outcomes. Each sample is scaled to the devices that it stands for."""

    def __init__(self) -> None:
        self.active, self.is_sampled = 0, False
        self._by: dict[str, float] = defaultdict(float)

    def add(self, number: int, outcomes: Counter[str]) -> None:
        decided = outcomes.total()
        if not decided:
            return
        self.active += number
        self.is_sampled = self.is_sampled or decided < number
        for outcome, count in outcomes.items():
            self._by[outcome] += count * number / decided

    def preview(self, *, is_simulated: bool = False) -> Preview:
        counts = {outcome: round(count) for outcome, count in self._by.items()}
        mandatory, current = counts.pop(_MANDATORY, 0), counts.pop(_CURRENT, 0)
        offered = mandatory + counts.pop(_OFFERED, 0)
        held_back = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        return Preview(self.active, offered, mandatory, current, held_back, is_simulated, self.is_sampled)


def _outcomes(session: Session, trial: _Trial, conditions: _Conditions) -> tuple[int, Counter[str]]:
    """Return the number of devices that meet the conditions, and the outcomes of a sample of them."""
    number = session.scalar(select(func.count()).select_from(Device).where(*conditions)) or 0
    # Hashes are evenly distributed, so the first ones are a fair sample, and the index is in this order.
    chosen = select(Device).where(*conditions).order_by(Device.device_hash).limit(MAX_DECIDED)
    sample = session.scalars(chosen).all()
    groups = _groups(session, [device.device_hash for device in sample], trial)
    outcomes: Counter[str] = Counter()
    for device in sample:
        query = query_of(device, groups=frozenset(groups[device.device_hash]))
        outcomes[Reason.NOT_COMPARABLE if query is None else trial.outcome(query)] += 1
    return number, outcomes


def _groups(session: Session, hashes: Sequence[str], trial: _Trial) -> Mapping[str, set[int]]:
    """Return the groups of each device, out of those that a release of the catalog names."""
    found: dict[str, set[int]] = defaultdict(set)
    wanted = frozenset[int]().union(*(candidate.groups for candidate in trial.whole.candidates))
    if not wanted:
        return found
    for start in range(0, len(hashes), _BATCH):
        query = select(DeviceGroupMember.device_hash, DeviceGroupMember.group_id).where(
            DeviceGroupMember.group_id.in_(wanted),
            DeviceGroupMember.device_hash.in_(hashes[start : start + _BATCH]),
        )
        for device_hash, group_id in session.execute(query):
            found[device_hash].add(group_id)
    return found


def _simulated(trial: _Trial, candidate: Candidate, before: Catalog, now: datetime) -> Preview:
    """Return a preview for simulated devices on the version offered to all before.

    Without such a version, they run one just below the release.
    """
    current = _previous_version(candidate, before, now)
    outcomes = Counter(
        trial.outcome(UpdateQuery(current, f"simulated-{number}")) for number in range(SIMULATED)
    )
    found = _Counts()
    found.add(SIMULATED, outcomes)
    return found.preview(is_simulated=True)


def _previous_version(candidate: Candidate, before: Catalog, now: datetime) -> CurrentVersion:
    others = tuple(each for each in before.candidates if each.release_id != candidate.release_id)
    offered = latest_for_everybody(replace(before, candidates=others), now)
    name, code = (offered.version, offered.version_code) if offered else ("0.0.0", candidate.version_code - 1)
    is_readable = parse_name(name) is not None and "+" not in name
    return parse_current_version(f"{name if is_readable else '0.0.0'}+{max(code, 0)}")


_OFFERED, _MANDATORY, _CURRENT = "offered", "mandatory", "current"
_IS_CURRENT = frozenset({Reason.UP_TO_DATE, Reason.AHEAD})
_BATCH = 500
