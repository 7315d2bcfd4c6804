"""What a release would do, before it is done: the devices that are really there, put to the decision itself."""

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
from ota.core.versions import parse_current_version, parse_name
from ota.devices import groups as device_groups
from ota.devices.devices import ACTIVE_WITHIN, query_of
from ota.errors import Conflict
from ota.models import Channel, Device, DeviceGroupMember, Release, Version
from ota.releases import acts as release_acts
from ota.releases import rows as release_rows
from ota.releases.terms import Terms

MOST = 5_000
"""So many devices are decided about at most; of more a sample is taken and the result scaled."""

SIMULATED = 1_000
"""So many devices are made up where none is known."""

NEWER_RELEASE = "newer_release"
FLOOR_FIRST = "floor_first"


@dataclass(frozen=True, slots=True)
class Preview:
    """Of so many ``active`` devices so many would be ``offered`` the release now, ``mandatory`` of them as a mandatory update.

    ``current`` run it already or something newer. ``held_back`` counts the others by a `Reason`, or `NEWER_RELEASE` (they are offered
    that) or `FLOOR_FIRST`. ``is_simulated``: no device is known, so ``active`` were made up. ``is_sampled``: counted on a sample.
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
    """The release that `releases.start` would make, for `preview`: it never gets into the database. Raises `Invalid` or `NotFound`."""
    made = release_acts.drafted(session, version, channel, rollout, terms or Terms(), now)
    groups = device_groups.named(session, version.app, terms.groups) if terms else []
    made.salt = "preview"  # Not another draw at every look.
    # Not by assignment: that would put it among the version's releases, and from there into the database.
    for name, value in (("version", version), ("channel", channel), ("groups", groups)):
        set_committed_value(made, name, value)
    return made


def preview(
    session: Session, release: Release, now: datetime, rollout: int | None = None, *, is_resumed: bool = False
) -> Preview:
    """Who would be offered the release, as it is or with another ``rollout`` in basis points, or once it is resumed.

    Which device follows which channel is not known, so all active devices of the app on the platform are taken as if they followed
    this one. One that is scheduled is looked at as of its start. The devices' ids are not known: their stored hashes stand in for
    them, so a percentage draws other devices than it will, but as many.
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
    app_id, platform = release.version.app_id, release.platform
    active: tuple[ColumnElement[bool], ...] = (
        Device.app_id == app_id,
        Device.platform == platform,
        Device.last_seen_at > now - ACTIVE_WITHIN,
    )
    members = select(DeviceGroupMember.device_hash).where(DeviceGroupMember.group_id.in_(candidate.groups))
    # Members are few and decided by name, so they are not left to the luck of a sample.
    parts = (
        [Device.device_hash.in_(members), Device.device_hash.not_in(members)] if candidate.groups else [None]
    )
    found = _Counts()
    for part in parts:
        found.add(*_outcomes(session, trial, active if part is None else (*active, part)))
    if found.active == 0:
        return _simulated(trial, candidate, before, now)
    return found.preview()


@dataclass(frozen=True, slots=True)
class _Trial:
    """The release alone, which says why it is held back, and among all others, which says what is really offered."""

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
    """Outcomes of parts of the devices, each scaled to the size of its part."""

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


def _outcomes(
    session: Session, trial: _Trial, conditions: tuple[ColumnElement[bool], ...]
) -> tuple[int, Counter[str]]:
    number = session.scalar(select(func.count()).select_from(Device).where(*conditions)) or 0
    # Hashes are as good as dice, so those that come first are a fair sample, and the index holds them in this order.
    chosen = select(Device).where(*conditions).order_by(Device.device_hash).limit(MOST)
    sample = session.scalars(chosen).all()
    groups = _groups(session, [device.device_hash for device in sample], trial)
    outcomes: Counter[str] = Counter()
    for device in sample:
        query = query_of(device, groups=frozenset(groups[device.device_hash]))
        outcomes[Reason.NOT_COMPARABLE if query is None else trial.outcome(query)] += 1
    return number, outcomes


def _groups(session: Session, hashes: Sequence[str], trial: _Trial) -> Mapping[str, set[int]]:
    """Of the groups that matter those that each device is in."""
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
    """Made-up devices that run what the channel offered to everybody before, else something just below the release."""
    others = replace(
        before, candidates=tuple(c for c in before.candidates if c.release_id != candidate.release_id)
    )
    offered = latest_for_everybody(others, now)
    name, code = (offered.version, offered.version_code) if offered else ("0.0.0", candidate.version_code - 1)
    text = (
        f"{name}+{max(code, 0)}"
        if parse_name(name) is not None and "+" not in name
        else f"0.0.0+{max(code, 0)}"
    )
    current = parse_current_version(text)
    outcomes = Counter(
        trial.outcome(UpdateQuery(current, f"simulated-{number}")) for number in range(SIMULATED)
    )
    found = _Counts()
    found.add(SIMULATED, outcomes)
    return found.preview(is_simulated=True)


def check_stands(release: Release) -> Release:
    """The release. Raises `Conflict` for one that has ended."""
    if not release.is_live:
        raise Conflict(
            "wrong_state",
            "The release has ended: nobody is offered it any more.",
            current=release_rows.summary(release),
        )
    return release


_OFFERED, _MANDATORY, _CURRENT = "offered", "mandatory", "current"
_IS_CURRENT = frozenset({Reason.UP_TO_DATE, Reason.AHEAD})
_BATCH = 500
