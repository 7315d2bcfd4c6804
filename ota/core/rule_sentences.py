"""One sentence for each rule: what it compared, and what that means for the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ota.core.catalog import Candidate
from ota.core.decision import Reason, Rule, Step, UpdateQuery
from ota.core.lifecycle import ReleaseState
from ota.core.platforms import android_release
from ota.core.rollout import FULL
from ota.core.versions import is_below

WHY_NOTHING: Mapping[Reason, str] = {
    Reason.UP_TO_DATE: "it runs the newest version that it could be offered",
    Reason.AHEAD: "it runs something newer than anything that is offered",
    Reason.NO_RELEASE: "nothing is released for it",
    Reason.NOT_IN_ROLLOUT: "what is newer is open to others only",
    Reason.PAUSED: "what is newer is paused",
    Reason.HALTED: "what is newer is halted",
    Reason.SHUT_OFF: "updates are switched off",
    Reason.OS_TOO_OLD: "what is newer needs a newer system",
    Reason.ABI_UNSUPPORTED: "what is newer has no code for its processor",
    Reason.OTHER_SIGNER: "what is newer is signed by somebody else than what it runs",
    Reason.NOT_COMPARABLE: (
        "it sent no build number, and the name of what is offered can't be compared with its own"
    ),
}
"""Why a device is offered nothing, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The question that the sentences are about. ``groups`` names the groups of the device, by id."""

    query: UpdateQuery
    now: datetime
    groups: Mapping[int, str]


def sentence(step: Step, about: Subject) -> str:
    """Return the sentence for one step of a decision."""
    if step.candidate is None:
        return _shut_off(step)
    return _SENTENCES[step.rule](step, step.candidate, about)


def name_of(candidate: Candidate) -> str:
    """Return a release's name for people, such as ``1.2.0 (+3) on stable``."""
    channel = f" on {candidate.channel}" if candidate.channel else ""
    return f"{candidate.version} (+{candidate.version_code}){channel}"


def _shut_off(step: Step) -> str:
    if step.is_passed:
        return "Updates are switched on for the app and the channel."
    return "Updates of the app or of the channel are switched off: nobody is offered anything."


def _schedule(step: Step, candidate: Candidate, about: Subject) -> str:
    start = _time(candidate.starts_at)
    return f"{name_of(candidate)} starts at {start}: until then it is as if it were not there."


def _newer(step: Step, candidate: Candidate, about: Subject) -> str:
    current = about.query.current
    how = "by name, since the device sent no build number"
    if current.build is not None:
        how = f"build {candidate.version_code} is above {current.build}"
    return f"{name_of(candidate)} is newer than {current.text}, which the device runs ({how})."


def _os(step: Step, candidate: Candidate, about: Subject) -> str:
    query = about.query
    if candidate.min_os is not None:
        needed = f"iOS {candidate.min_os}"
        known = "iOS " + ".".join(map(str, query.os)) if query.os else ""
    else:
        needed = android_release(candidate.min_sdk or 0)
        known = android_release(query.sdk) if query.sdk else ""
    if not known:
        known, fits = "did not say what it has", "holds nothing back"
    else:
        known, fits = f"has {known}", "is enough" if step.is_passed else "is too old"
    return f"{name_of(candidate)} needs {needed}; the device {known}, which {fits}."


def _abi(step: Step, candidate: Candidate, about: Subject) -> str:
    code = f"{name_of(candidate)} has code for {', '.join(sorted(candidate.abis))}"
    if not about.query.abis:
        return f"{code}; the device did not say what it runs, which holds nothing back."
    fits = "which fits" if step.is_passed else "and none of it fits"
    return f"{code}; the device runs {', '.join(sorted(about.query.abis))}, {fits}."


def _signer(step: Step, candidate: Candidate, about: Subject) -> str:
    name, current = name_of(candidate), about.query.current.text
    if step.is_passed:
        return f"{name} is signed so that the phone takes it over {current}."
    return f"{name} is signed by somebody else than {current}, so the phone would refuse it."


def _state(step: Step, candidate: Candidate, about: Subject) -> str:
    states = {
        ReleaseState.PAUSED: "paused by a person, and that holds for everybody",
        ReleaseState.HALTED: "halted because its numbers were bad, and that holds for everybody",
    }
    return f"{name_of(candidate)}: the release is {states.get(candidate.state, 'active')}."


def _group(step: Step, candidate: Candidate, about: Subject) -> str:
    ids = candidate.groups & about.query.groups
    shared = sorted(about.groups.get(each, f"number {each}") for each in ids)
    return (
        f"{name_of(candidate)} is open to device groups that this device is in, "
        f"whatever its percentage: {', '.join(shared)}."
    )


def _rollout(step: Step, candidate: Candidate, about: Subject) -> str:
    name = name_of(candidate)
    if candidate.rollout >= FULL:
        return f"{name} is open to everybody."
    others = " beside its groups, and the device is in none of them" if candidate.groups else ""
    if candidate.rollout <= 0:
        return f"{name} is open to nobody (0 %){others}."
    open_to = f"{name} is open to {_percent(candidate.rollout)}{others}"
    if not isinstance(step.detail, int):
        return f"{open_to}: a device without an id is in no partial rollout."
    first, end = candidate.inside.start, candidate.inside.stop
    where = "inside" if step.is_passed else "outside"
    meaning = f"from {first:,} to below {end:,}" if first else f"below {end:,}"
    return (
        f"{open_to}: this device's number in it is {step.detail:,} of 10,000, "
        f"so it is {where} (inside means {meaning})."
    )


def _user_initiated(step: Step, candidate: Candidate, about: Subject) -> str:
    return (
        f"{name_of(candidate)} is open to {_percent(candidate.rollout)}, "
        'but "Check for updates" was pressed, which passes a percentage.'
    )


def _floor(step: Step, candidate: Candidate, about: Subject) -> str:
    floor = f"{name_of(candidate)} is a floor that no device jumps over"
    if step.is_passed:
        return f"{floor}: it is offered first, before anything newer."
    why = WHY_NOTHING[Reason(step.detail)] if isinstance(step.detail, str) else "it is closed"
    return f"{floor}, and it can't be offered ({why}): the device is held below the floor."


def _mandatory(step: Step, candidate: Candidate, about: Subject) -> str:
    if not step.is_passed:
        return f"{name_of(candidate)} is not mandatory: nothing on the way to it demands to be taken."
    if step.detail == "min_supported_version":
        return f"The update is mandatory: {_unsupported(candidate, about)}."
    return f"The update is mandatory: {_demand(candidate, about)}."


def _blocked(step: Step, candidate: Candidate, about: Subject) -> str:
    return (
        "The device is blocked, since nothing can be offered to it although it must update: "
        f"{_demand(candidate, about)}."
    )


def _demand(candidate: Candidate, about: Subject) -> str:
    """Say why devices on older versions must take the release."""
    name, current = name_of(candidate), about.query.current
    if candidate.is_mandatory:
        return f"{name} is a mandatory version, and skipping it does not dodge it"
    if candidate.mandatory_from is not None and candidate.mandatory_from <= about.now:
        return f"the deadline of {name} was {_time(candidate.mandatory_from)}"
    if is_below(current, candidate.critical_below) and not is_below(current, candidate.critical_from):
        start = f"from {candidate.critical_from} to" if candidate.critical_from else "of versions"
        affected = f"devices {start} below {candidate.critical_below}"
        return f"{name} is mandatory for {affected}, and this one runs {current.text}"
    return _unsupported(candidate, about)


def _unsupported(candidate: Candidate, about: Subject) -> str:
    return (
        f"the device runs {about.query.current.text}, which is below {candidate.min_supported_version}, "
        f"the minimum supported by {name_of(candidate)}"
    )


def _time(when: datetime | None) -> str:
    return "an unknown time" if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _percent(basis_points: int) -> str:
    return f"{basis_points / 100:g} %"


_SENTENCES: Mapping[Rule, Callable[[Step, Candidate, Subject], str]] = {
    Rule.SCHEDULE: _schedule,
    Rule.NEWER: _newer,
    Rule.OS: _os,
    Rule.ABI: _abi,
    Rule.SIGNER: _signer,
    Rule.STATE: _state,
    Rule.GROUP: _group,
    Rule.ROLLOUT: _rollout,
    Rule.USER_INITIATED: _user_initiated,
    Rule.FLOOR: _floor,
    Rule.MANDATORY: _mandatory,
    Rule.BLOCKED: _blocked,
}
