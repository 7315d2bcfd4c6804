"""A decision in words: the rules that were applied, to which release, with what outcome and which numbers.

Nothing is decided here. `explain` lets `decide` record its steps, and `ota.core.rule_sentences` words them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ota.core.catalog import Candidate, Catalog
from ota.core.decision import Decision, Offer, Rule, Step, Trace, UpdateQuery, decide
from ota.core.rule_sentences import WHY_NOTHING, Subject, name_of, sentence
from ota.core.versions import CurrentVersion, compare_to_device, parse_name

MAX_RELEASES = 40
"""Releases that are explained one by one. The others are counted in one line."""

_ABOUT_THE_ANSWER = frozenset({Rule.FLOOR, Rule.MANDATORY, Rule.BLOCKED})


class ExplainOutcome(StrEnum):
    """What a rule meant for the device."""

    PASSED = "passed"
    HELD_BACK = "held_back"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class ExplainLine:
    """One rule in a sentence. ``candidate`` is its release, or None for the question or several releases."""

    rule: Rule
    outcome: ExplainOutcome
    text: str
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision of `decide`, the rules that led to it, and the answer in a sentence."""

    decision: Decision
    lines: tuple[ExplainLine, ...]
    answer: str


def explain(
    query: UpdateQuery, catalog: Catalog, now: datetime, groups: Mapping[int, str] | None = None
) -> Explanation:
    """Decide, and say why. ``now`` is an aware UTC time. ``groups`` names the device's groups, by id."""
    trace: Trace = []
    decision = decide(query, catalog, now, trace)
    about = Subject(query, now, groups or {})
    chosen = decision.candidate if isinstance(decision, Offer) else None
    lines = [
        *_lines(trace, about, chosen),
        *_not_newer(trace, about),
        *_not_reached(trace, catalog),
        *_withdrawn(query, catalog),
    ]
    return Explanation(decision, tuple(lines), answer(decision))


def answer(decision: Decision) -> str:
    """Return the decision in a sentence."""
    if isinstance(decision, Offer):
        demand = "it is mandatory" if decision.is_mandatory else "its user may postpone it"
        return f"The device is offered {name_of(decision.candidate)}; {demand}."
    blocked = (
        " It must update and nothing can be offered, so it is told that it is blocked."
        if decision.is_blocked
        else ""
    )
    return f"The device is offered nothing: {WHY_NOTHING[decision.reason]}.{blocked}"


def _lines(trace: Trace, about: Subject, chosen: Candidate | None) -> list[ExplainLine]:
    """Return a line for each step about the answer and the newest releases, and one for all others."""
    steps = [step for step in trace if step.rule is not Rule.NEWER or step.is_passed]
    releases = dict.fromkeys(_release_of(step) for step in steps if not _is_about_answer(step, chosen))
    left_out = set(list(releases)[MAX_RELEASES:])
    lines: list[ExplainLine] = []
    place = 0
    for step in steps:
        if _is_about_answer(step, chosen) or _release_of(step) not in left_out:
            lines.append(ExplainLine(step.rule, _outcome(step), sentence(step, about), step.candidate))
        else:
            place = place or len(lines)
    if left_out:
        lines.insert(place, _left_out(len(left_out)))
    return lines


def _is_about_answer(step: Step, chosen: Candidate | None) -> bool:
    """Return whether the step is shown however many releases there are."""
    return step.candidate is None or step.candidate is chosen or step.rule in _ABOUT_THE_ANSWER


def _release_of(step: Step) -> int | None:
    return None if step.candidate is None else step.candidate.release_id


def _left_out(count: int) -> ExplainLine:
    text = f"{count:,} more {_were(count)} looked at in the same way; none of them became the answer."
    return ExplainLine(Rule.NEWER, ExplainOutcome.INFO, text)


def _outcome(step: Step) -> ExplainOutcome:
    if step.rule is Rule.BLOCKED:
        return ExplainOutcome.HELD_BACK
    if step.rule is Rule.MANDATORY or (step.rule is Rule.FLOOR and step.is_passed):
        return ExplainOutcome.INFO
    return ExplainOutcome.PASSED if step.is_passed else ExplainOutcome.HELD_BACK


def _not_newer(trace: Trace, about: Subject) -> list[ExplainLine]:
    """Return one line for all releases that are not newer than the current version."""
    older = [
        step.candidate
        for step in trace
        if step.rule is Rule.NEWER and not step.is_passed and step.candidate is not None
    ]
    if not older:
        return []
    text = _why_not_newer(older, about.query.current)
    return [ExplainLine(Rule.NEWER, ExplainOutcome.INFO, text, older[0] if len(older) == 1 else None)]


def _why_not_newer(older: Sequence[Candidate], current: CurrentVersion) -> str:
    newest = older[0]
    if len(older) > 1:
        return (
            f"{len(older):,} releases are not newer than {current.text}, which the device runs; "
            f"the newest is {name_of(newest)}."
        )
    if current.build is None and parse_name(newest.version) is None:
        return (
            f"The name of {name_of(newest)} has no order, and the device sent no build number: "
            "it can't be shown to be newer."
        )
    is_same = compare_to_device(newest.version_code, newest.version, current) == 0
    relation = "what" if is_same else "older than what"
    return f"{name_of(newest)} is {relation} the device runs ({current.text})."


def _not_reached(trace: Trace, catalog: Catalog) -> list[ExplainLine]:
    """Return one line for all releases to which no rule was applied."""
    if catalog.is_shut_off:
        return []
    reached = {_release_of(step) for step in trace}
    count = sum(candidate.release_id not in reached for candidate in catalog.candidates)
    if not count:
        return []
    text = f"{count:,} older {_were(count)} not looked at: the question was answered before."
    return [ExplainLine(Rule.NEWER, ExplainOutcome.INFO, text)]


def _withdrawn(query: UpdateQuery, catalog: Catalog) -> list[ExplainLine]:
    if not catalog.has_withdrawn(query.current):
        return []
    text = (
        f"The device runs {query.current.text}, which was withdrawn; it is told so. "
        "No phone goes back to an older build."
    )
    return [ExplainLine(Rule.WITHDRAWN, ExplainOutcome.INFO, text)]


def _were(count: int) -> str:
    return "release was" if count == 1 else "releases were"
