"""A decision in words: which rules were looked at, about which release, with what outcome and which numbers.

Nothing is decided here. `explain` lets `decide` note its steps and says what each of them means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from ota.core.catalog import Candidate, Catalog
from ota.core.decision import Decision, Offer, Reason, Rule, Step, Trace, UpdateQuery, decide
from ota.core.lifecycle import ReleaseState
from ota.core.platforms import android_release
from ota.core.rollout import FULL
from ota.core.versions import compare_to_device, is_below, parse_name

MOST = 40
"""So many releases are told about one by one; the rest is counted."""


class Outcome(StrEnum):
    """What a rule did to the device."""

    PASSED = "passed"
    HELD_BACK = "held_back"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Line:
    """One rule in a sentence. ``candidate``: the release that it is about; None for the question as a whole or several releases."""

    rule: Rule
    outcome: Outcome
    text: str
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision as `decide` made it, the way to it, and the answer in a sentence."""

    decision: Decision
    lines: tuple[Line, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class _About:
    """What the sentences speak of. ``groups`` are the names of the device's groups by their ids."""

    query: UpdateQuery
    now: datetime
    groups: Mapping[int, str]


def explain(
    query: UpdateQuery, catalog: Catalog, now: datetime, groups: Mapping[int, str] | None = None
) -> Explanation:
    """Decide, and say why. ``now`` is an aware UTC time; ``groups`` names the groups that the device belongs to, by id."""
    trace: Trace = []
    decision = decide(query, catalog, now, trace)
    about = _About(query, now, groups or {})
    chosen = decision.candidate if isinstance(decision, Offer) else None
    lines = _shortened(trace, about, chosen) + _not_newer(trace, about) + _not_looked_at(trace, catalog)
    if catalog.has_withdrawn(query.current):
        text = f"The device runs {query.current.text}, which was withdrawn; it is told so. No phone goes back to an older build."
        lines.append(Line(Rule.WITHDRAWN, Outcome.INFO, text))
    return Explanation(decision, tuple(lines), answer(decision))


def answer(decision: Decision) -> str:
    """The answer in a sentence."""
    if isinstance(decision, Offer):
        demand = "it is mandatory" if decision.is_mandatory else "its user may postpone it"
        return f"The device is offered {name_of(decision.candidate)}; {demand}."
    blocked = (
        " It must update and nothing can be offered, so it is told that it is blocked."
        if decision.is_blocked
        else ""
    )
    return f"The device is offered nothing: {_NOTHING[decision.reason]}.{blocked}"


def name_of(candidate: Candidate) -> str:
    """``1.2.0 (+3) on stable``."""
    channel = f" on {candidate.channel}" if candidate.channel else ""
    return f"{candidate.version} (+{candidate.version_code}){channel}"


def _shortened(trace: Trace, about: _About, chosen: Candidate | None) -> list[Line]:
    """A line for each step about the newest releases and about the chosen one; one for all others together."""
    lines: list[Line] = []
    told: set[int] = set()
    left_out: set[int] = set()
    place = 0
    for step in trace:
        if step.rule is Rule.NEWER and not step.is_passed:
            continue
        candidate = step.candidate
        if (
            candidate is not None
            and candidate is not chosen
            and step.rule not in _ABOUT_THE_ANSWER
            and candidate.release_id not in told
        ):
            if len(told) >= MOST:
                place = place or len(lines)
                left_out.add(candidate.release_id)
                continue
            told.add(candidate.release_id)
        lines.append(Line(step.rule, _outcome(step), _SENTENCES[step.rule](step, about), candidate))
    if left_out:
        text = f"{len(left_out):,} more {_releases(left_out)} looked at in the same way; none of them became the answer."
        lines.insert(place, Line(Rule.NEWER, Outcome.INFO, text))
    return lines


def _outcome(step: Step) -> Outcome:
    if step.rule is Rule.BLOCKED:
        return Outcome.HELD_BACK
    if step.rule is Rule.MANDATORY or (step.rule is Rule.FLOOR and step.is_passed):
        return Outcome.INFO
    return Outcome.PASSED if step.is_passed else Outcome.HELD_BACK


def _not_newer(trace: Trace, about: _About) -> list[Line]:
    passed_by = [
        step.candidate
        for step in trace
        if step.rule is Rule.NEWER and not step.is_passed and step.candidate is not None
    ]
    if not passed_by:
        return []
    current, newest = about.query.current, passed_by[0]
    if len(passed_by) > 1:
        text = f"{len(passed_by):,} releases are not newer than {current.text}, which the device runs; the newest is {name_of(newest)}."
    elif current.build is None and parse_name(newest.version) is None:
        text = f"The name of {name_of(newest)} has no order, and the device sent no build number: it can't be shown to be newer."
    else:
        is_same = compare_to_device(newest.version_code, newest.version, current) == 0
        text = f"{name_of(newest)} is {'what' if is_same else 'older than what'} the device runs ({current.text})."
    return [Line(Rule.NEWER, Outcome.INFO, text, newest if len(passed_by) == 1 else None)]


def _not_looked_at(trace: Trace, catalog: Catalog) -> list[Line]:
    if catalog.is_shut_off:
        return []
    seen = {step.candidate.release_id for step in trace if step.candidate is not None}
    rest = [candidate for candidate in catalog.candidates if candidate.release_id not in seen]
    if not rest:
        return []
    return [
        Line(
            Rule.NEWER,
            Outcome.INFO,
            f"{len(rest):,} older {_releases(rest)} not looked at: the question was answered before.",
        )
    ]


def _releases(several: Sequence[object] | set[int]) -> str:
    return "release was" if len(several) == 1 else "releases were"


def _name(step: Step) -> str:
    assert step.candidate is not None
    return name_of(step.candidate)


def _shut_off(step: Step, about: _About) -> str:
    if step.is_passed:
        return "Updates are switched on for the app and the channel."
    return "Updates of the app or of the channel are switched off: nobody is offered anything."


def _schedule(step: Step, about: _About) -> str:
    assert step.candidate is not None
    return f"{_name(step)} starts at {_time(step.candidate.starts_at)}: until then it is as if it were not there."


def _newer(step: Step, about: _About) -> str:
    assert step.candidate is not None
    current = about.query.current
    how = "by name, since the device sent no build number"
    if current.build is not None:
        how = f"build {step.candidate.version_code} is above {current.build}"
    return f"{_name(step)} is newer than {current.text}, which the device runs ({how})."


def _os(step: Step, about: _About) -> str:
    assert step.candidate is not None
    if step.candidate.min_os is not None:
        needed, said = (
            f"iOS {step.candidate.min_os}",
            "iOS " + ".".join(map(str, about.query.os)) if about.query.os else "",
        )
    else:
        needed, said = (
            android_release(step.candidate.min_sdk or 0),
            android_release(about.query.sdk) if about.query.sdk else "",
        )
    if not said:
        return f"{_name(step)} needs {needed}; the device did not say what it has, which holds nothing back."
    return f"{_name(step)} needs {needed}; the device has {said}, which is {'enough' if step.is_passed else 'too old'}."


def _abi(step: Step, about: _About) -> str:
    assert step.candidate is not None
    code = ", ".join(sorted(step.candidate.abis))
    if not about.query.abis:
        return f"{_name(step)} has code for {code}; the device did not say what it runs, which holds nothing back."
    fits = "which fits" if step.is_passed else "and none of it fits"
    return (
        f"{_name(step)} has code for {code}; the device runs {', '.join(sorted(about.query.abis))}, {fits}."
    )


def _signer(step: Step, about: _About) -> str:
    if step.is_passed:
        return f"{_name(step)} is signed so that the phone takes it over {about.query.current.text}."
    return f"{_name(step)} is signed by somebody else than {about.query.current.text}, so the phone would refuse it."


def _state(step: Step, about: _About) -> str:
    assert step.candidate is not None
    if step.candidate.state is ReleaseState.PAUSED:
        return f"{_name(step)}: the release is paused by a person, and that holds for everybody."
    if step.candidate.state is ReleaseState.HALTED:
        return f"{_name(step)}: the release is halted because its numbers were bad, and that holds for everybody."
    return f"{_name(step)}: the release is active."


def _group(step: Step, about: _About) -> str:
    assert step.candidate is not None
    shared = sorted(
        about.groups.get(each, f"number {each}") for each in step.candidate.groups & about.query.groups
    )
    return f"{_name(step)} is open to device groups that this device is in, whatever its percentage: {', '.join(shared)}."


def _rollout(step: Step, about: _About) -> str:
    assert step.candidate is not None
    candidate, name = step.candidate, _name(step)
    if candidate.rollout >= FULL:
        return f"{name} is open to everybody."
    others = " beside its groups, and the device is in none of them" if candidate.groups else ""
    if candidate.rollout <= 0:
        return f"{name} is open to nobody (0 %){others}."
    open_to = f"{name} is open to {_percent(candidate.rollout)}{others}"
    if not isinstance(step.detail, int):
        return f"{open_to}: a device without an id is in no partial rollout."
    first, end = candidate.bucket_from, candidate.bucket_from + candidate.rollout
    meaning = f"from {first:,} to below {end:,}" if first else f"below {end:,}"
    where = "inside" if step.is_passed else "outside"
    return f"{open_to}: this device's number in it is {step.detail:,} of 10,000, so it is {where} (inside means {meaning})."


def _user_initiated(step: Step, about: _About) -> str:
    assert step.candidate is not None
    return f'{_name(step)} is open to {_percent(step.candidate.rollout)}, but "Check for updates" was pressed, which passes a percentage.'


def _floor(step: Step, about: _About) -> str:
    if step.is_passed:
        return (
            f"{_name(step)} is a floor that no device jumps over: it is offered first, before anything newer."
        )
    why = _NOTHING[Reason(step.detail)] if isinstance(step.detail, str) else "it is closed"
    return f"{_name(step)} is a floor that no device jumps over, and it can't be offered ({why}): the device is held below the floor."


def _mandatory(step: Step, about: _About) -> str:
    assert step.candidate is not None
    if not step.is_passed:
        return f"{_name(step)} is not mandatory: nothing on the way to it demands to be taken."
    return f"The update is mandatory: {_demand(step.candidate, about, of_minimum=step.detail == 'min_supported_version')}."


def _blocked(step: Step, about: _About) -> str:
    assert step.candidate is not None
    return f"The device is blocked, since nothing can be offered to it although it must update: {_demand(step.candidate, about)}."


def _demand(candidate: Candidate, about: _About, *, of_minimum: bool = False) -> str:
    """Why the release demands to be taken."""
    name, current = name_of(candidate), about.query.current
    if not of_minimum:
        if candidate.is_mandatory:
            return f"{name} is a mandatory version, and skipping it does not dodge it"
        if candidate.mandatory_from is not None and candidate.mandatory_from <= about.now:
            return f"the deadline of {name} was {_time(candidate.mandatory_from)}"
        if is_below(current, candidate.critical_below) and not is_below(current, candidate.critical_from):
            start = f"from {candidate.critical_from} to" if candidate.critical_from else "of versions"
            return f"{name} is mandatory for devices {start} below {candidate.critical_below}, and this one runs {current.text}"
    return f"the device runs {current.text}, which is below {candidate.min_supported_version}, the minimum supported by {name}"


def _time(when: datetime | None) -> str:
    return "an unknown time" if when is None else f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _percent(basis_points: int) -> str:
    return f"{basis_points / 100:g} %"


_ABOUT_THE_ANSWER = frozenset({Rule.FLOOR, Rule.MANDATORY, Rule.BLOCKED})

_SENTENCES: Mapping[Rule, Callable[[Step, _About], str]] = {
    Rule.SHUT_OFF: _shut_off,
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

_NOTHING: Mapping[Reason, str] = {
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
    Reason.NOT_COMPARABLE: "it sent no build number, and the name of what is offered can't be compared with its own",
}
