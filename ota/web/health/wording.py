"""A release's health, and a policy's false-alarm rate, in words for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ota.health import findings
from ota.health.policy import WATCHED_FOR
from ota.health.status import FirstDevices, HealthState, HealthStatus


@dataclass(frozen=True, slots=True)
class Judgement:
    """The state of a release's health in a pill and a sentence.

    ``tone`` is that of the pill with the ``label``. It is good only if devices have been judged.
    """

    label: str
    tone: str
    sentence: str


def judgement(status: HealthStatus, *, now: datetime) -> Judgement:
    """Return the status in words. Times of today are shown without their date."""
    if status.first is not None:
        label = "a new test" if status.first.is_new_test else "too early"
        return Judgement(label, "quiet", _first_devices(status.first, now))
    if status.state in _NOT_JUDGED:
        return Judgement("not judged", "quiet", _NOT_JUDGED[status.state])
    label, tone = _LABELS[status.state]
    found = findings.sentence(status.row) if status.row is not None else ""
    if status.state is HealthState.SUSPECT:
        found += " What was reported last is not settled yet; with it, it would be bad."
    return Judgement(label, tone, found)


def meaning(alpha: float) -> str:
    """Return what an alpha means in a year."""
    return (
        f"Of 100 good releases a year at most {100 * alpha:.3g} are called bad by chance, "
        "however often they are looked at."
    )


def short_time(at: datetime) -> str:
    """Return a time as ``3 Mar 14:00``."""
    return f"{at.day} {at:%b %H:%M}"


_LABELS = {
    HealthState.FOUND_BAD: ("bad", "bad"),
    HealthState.SUSPECT: ("looks bad", "warn"),
    HealthState.NOTHING_FOUND: ("nothing found", "good"),
}

_NOT_JUDGED = {
    HealthState.KEEPS_NO_DEVICES: "The app keeps nothing about single devices, so no test can look at them.",
    HealthState.ENDED_TOO_EARLY: "It ended before devices could be judged.",
    HealthState.NOT_WATCHED: (
        f"It has been open to everybody for {WATCHED_FOR.days} days: nobody looks any more."
    ),
}


def _first_devices(first: FirstDevices, now: datetime) -> str:
    began = ""
    if first.is_new_test:
        since = _clock(first.since, now)
        began = f"A new test began at {since}: devices that are offered it from then on are judged. "
    if first.judged_from is None:
        return f"{began}{'None has been yet.' if first.is_new_test else _none_offered(first.running)}"
    have = f"{first.enrolled:,} {'device has' if first.enrolled == 1 else 'devices have'} been"
    then = (
        f"failures are judged from {_clock(first.judged_from, now)} on"
        if first.judged_from > now
        else "the first look at them is a matter of a minute"
    )
    return f"{began}{have}{'' if first.is_new_test else ' offered it'}; {then}."


def _none_offered(running: int) -> str:
    if not running:
        return "No device has been offered it yet."
    run = "1 device runs it and was" if running == 1 else f"{running:,} devices run it and were"
    return f"{run} not offered it by this release, so there is nothing to judge."


def _clock(at: datetime, now: datetime) -> str:
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{short_time(at)} UTC"
