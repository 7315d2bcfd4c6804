"""The votes of devices on a release: the policy that says which failures count, and when a report counts.

Reports arrive late and device clocks are wrong, so each report has two times, and `placed_at` makes one of
them. No report is placed more than ``Policy.settling`` before the server received it, and a test never uses
reports younger than ``settling``. A report that arrives later therefore cannot change a result: what one
evaluation found, all later ones find.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Policy:
    """When a release counts as bad. Raises ``ValueError``, with a message for people, for other values."""

    alpha: float = 0.01
    """The largest probability with which a good release is called bad, over its whole life."""
    tolerated_ratio: float = 1.5
    """With a control group: how many times as often as the control group a good release can fail."""
    window: timedelta = timedelta(hours=24)
    """A failure counts within this time after the device's enrollment."""
    min_failing_devices: int = 3
    acceptable_rate: float = 0.02
    """Without a control group: the share of failing devices that is still good."""
    settling: timedelta = timedelta(hours=2)
    """The time that reports get to arrive before they are judged."""
    silence: timedelta = timedelta(0)
    """With a control group: a regular device that is silent for this long has failed. 0: never."""

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ValueError(problem)

    def _problems(self) -> Iterator[str]:
        if not 1e-6 <= self.alpha <= 0.2:
            limits = "expected 0.000001 to 0.2; 0.01 halts one good release in a hundred at most"
            yield f"alpha is {self.alpha:g}: {limits}"
        if not 1 <= self.tolerated_ratio <= 100:
            limits = "expected 1 (no worse than the control) to 100"
            yield f"the tolerated ratio is {self.tolerated_ratio:g}: {limits}"
        if not timedelta(minutes=1) <= self.window <= timedelta(days=90):
            yield f"the window is {self.window}: expected 1 minute to 90 days"
        if not 1 <= self.min_failing_devices <= 1_000_000:
            yield f"{self.min_failing_devices} failing devices are asked for: expected 1 to 1000000"
        if not 1e-6 <= self.acceptable_rate <= 0.5:
            limits = "expected a share from 0.000001 to 0.5; 2 % is 0.02"
            yield f"the acceptable rate is {self.acceptable_rate:g}: {limits}"
        if not timedelta(0) <= self.settling <= timedelta(days=7):
            yield f"the settling time is {self.settling}: expected 0 to 7 days"
        if not timedelta(0) <= self.silence <= timedelta(days=30):
            yield f"the silence is {self.silence}: expected 0 (it is no failure) to 30 days"


class Member(NamedTuple):
    """A device as a health test sees it: one device, one vote. All times are those of `placed_at`."""

    enrolled_at: datetime
    """The start of its window (`ota.core.health_members`)."""
    failed_at: datetime | None = None
    """Its first failure. Counts from the enrollment until the window ends or the device leaves."""
    is_control: bool = False
    left_at: datetime | None = None
    """It moved to another version. A device of the control group also leaves when it gets this release."""
    healthy_at: datetime | None = None
    """Its first report that all is well. Only `reported` uses it: such reports come late, or never."""
    until: datetime | None = None
    """The end of its window. None: ``Policy.window`` after the enrollment."""


class Reported(NamedTuple):
    """How many of the enrolled devices are decided: healthy, failed, gone, or silent for the whole window."""

    devices: int
    enrolled: int


def placed_at(happened_at: datetime | None, received_at: datetime, policy: Policy) -> datetime:
    """Return the time at which a report counts: its own, within the ``settling`` time before its receipt.
    ``happened_at`` is the time on the device's clock, or a time that the server knows better (an installation
    cannot be older than its offer).
    """
    if happened_at is None:
        return received_at
    return max(min(happened_at, received_at), received_at - policy.settling)


def reported(members: Iterable[Member], policy: Policy, now: datetime) -> Reported:
    """Count the enrolled and the decided devices. Members of the control group are left out."""
    enrolled = [each for each in members if not each.is_control and each.enrolled_at <= now]
    return Reported(sum(_is_decided(each, policy, now) for each in enrolled), len(enrolled))


def _is_decided(member: Member, policy: Policy, now: datetime) -> bool:
    ends = (member.healthy_at, member.failed_at, member.left_at, member.enrolled_at + policy.window)
    return any(at is not None and at <= now for at in ends)
