"""Releases in words: lengths of time, plans, and what each act changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ota.core.lifecycle import ReleaseState
from ota.models import AuditEvent
from ota.releases.rows import words

_LABELS = {
    "rollout": "open to",
    "starts_at": "starts",
    "critical_from": "mandatory on versions from",
    "critical_below": "mandatory on versions below",
    "is_floor": "floor",
    "channel": "on",
    "is_mandatory": "mandatory",
    "min_supported_version": "minimum supported",
    "version_code": "code",
    "approval_above": "needs approval above",
}
_LEFT_OUT = frozenset(
    {
        "revision",
        "plan_step",
        "next_step_at",
        "soak_left",
        "ended_at",
        "groups_before",
        "kind",
        "version_id",
        "versions",
    }
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of what an act changed; ``before`` is None where nothing was there to compare with."""

    label: str
    before: str | None
    after: str


def span(minutes: int) -> str:
    """24 h, 1 h 30 min, 3 d."""
    if minutes >= 48 * 60 and minutes % (24 * 60) == 0:
        return f"{minutes // (24 * 60)} d"
    hours, rest = divmod(minutes, 60)
    return (
        " ".join(text for number, text in ((hours, f"{hours} h"), (rest, f"{rest} min")) if number) or "0 min"
    )


def ahead(seconds: float) -> str:
    """How long until a moment, in two units at most: 3 h 12 min, 2 d 4 h."""
    minutes = max(0, int(seconds // 60))
    if minutes < 1:
        return "less than a minute"
    days, rest = divmod(minutes, 24 * 60)
    if days >= 2:
        return f"{days} d {rest // 60} h" if rest >= 60 else f"{days} d"
    return span(minutes) if minutes < 48 * 60 else "2 d"


def plan_words(steps: Sequence[Mapping[str, Any]]) -> str:
    """10 %, after 24 h 50 %, after 24 h 100 %."""
    shown, wait = [], 0
    for number, step in enumerate(steps):
        shown.append(
            f"{step['rollout'] / 100:g} %"
            if number == 0
            else f"after {span(wait)} {step['rollout'] / 100:g} %"
        )
        wait = step["soak_minutes"]
    return ", ".join(shown)


def facts_of(event: AuditEvent) -> list[Fact]:
    """What an act changed, in words: what was there before, and what is there since."""
    before, after = event.before or {}, event.after or {}
    if "groups_before" in after:
        before = {**before, "groups": after["groups_before"]}
    names = [*after, *(name for name in before if name not in after)]
    return [
        Fact(
            _LABELS.get(name, name.replace("_", " ")),
            _shown(name, before[name]) if name in before else None,
            _shown(name, after.get(name)),
        )
        for name in names
        if name not in _LEFT_OUT and (after.get(name) is not None or name in before)
    ]


def state_words(state: str, rollout: int) -> str:
    """What a release does and how far it is open: live, 10 %."""
    return f"{'live' if state == ReleaseState.ACTIVE else words(state)}, open to {rollout / 100:g} %"


def _shown(name: str, value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in {"rollout", "approval_above"} and isinstance(value, int):
        return f"{value / 100:g} %"
    if name == "plan" and isinstance(value, list):
        return plan_words(value)
    if name == "arms" and isinstance(value, dict):
        return ", ".join(f"{version} {weight / 100:g} %" for version, weight in value.items())
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_shown(name, each)}" for key, each in value.items())
    if name in {"starts_at", "mandatory_from"}:
        return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M} UTC"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value in set(ReleaseState):
        return "live" if value == ReleaseState.ACTIVE else words(value)
    return str(value)


FILTERS = {"span": span, "plan_words": plan_words, "facts_of": facts_of}
