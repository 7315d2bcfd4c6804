"""The forms that offer a version and change the terms of a release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import request
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, DateTimeLocalField, SelectField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.fields.simple import HiddenField
from wtforms.validators import Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from ota.core.plans import MAX_SOAK_MINUTES, Plan, PlanStep
from ota.core.rollout import FULL
from ota.errors import Invalid
from ota.models import Release
from ota.releases.edits import ReleaseEdit
from ota.releases.terms import plan_of
from ota.web.forms import Form, RolloutForm, without_nul

DAY = 24 * 60
ONCE, OWN = "once", "own"
PRESETS: dict[str, Plan] = {
    "10-50-100": (PlanStep(1000, DAY), PlanStep(5000, DAY), PlanStep(FULL)),
    "1-10-50-100": (PlanStep(100, DAY), PlanStep(1000, DAY), PlanStep(5000, DAY), PlanStep(FULL)),
}
_PLANS = [
    SelectChoice(ONCE, "At once"),
    SelectChoice("10-50-100", "Steps: 10, 50, 100 %"),
    SelectChoice("1-10-50-100", "Steps: 1, 10, 50, 100 %"),
    SelectChoice(OWN, "Steps of my own"),
]
_MINUTE = "Expected a date and a time, such as 2026-03-01 14:30."
_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"]
_LARGEST = Decimal(100_000)


class Checkboxes(SelectMultipleField):  # type: ignore[misc]
    """Several of a few."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class Moment(DateTimeLocalField):  # type: ignore[misc]
    """A date and a time in UTC, or nothing."""

    def __init__(self, label: str, **options: Any) -> None:
        super().__init__(label, [Optional()], format=_FORMATS, **options)

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError(_MINUTE) from None


class PublishForm(RolloutForm):
    channel = SelectField("Channel")
    plan = SelectField("How", choices=_PLANS, default=ONCE)
    starts_at = Moment("Start at (UTC)")
    groups = Checkboxes("Offer it to these groups in any case")
    repairs = BooleanField("Mandatory", default=True)

    def opened(self) -> int | None:
        """The rollout to begin with, in basis points; None where a plan says so."""
        return None if self.plan.data in PRESETS else int(self.rollout.data * 100)

    def reach(self) -> int:
        """How far it will be open in the end; what can't be read counts as everybody."""
        if self.plan.data in PRESETS or self.rollout.data is None or self.rollout.errors:
            return FULL
        return int(self.rollout.data * 100)


class TermsForm(Form):
    starts_at = Moment("Starts at (UTC)")
    mandatory_from = Moment("Mandatory for everybody from (UTC)")
    critical_from = StringField("Versions from", [Optional(), Length(max=60)])
    critical_below = StringField("and below", [Optional(), Length(max=60)])
    groups = Checkboxes("Groups that get it whatever the rollout")
    is_floor = BooleanField("Floor: older devices must pass through this version")
    revision = HiddenField()

    def changes(self, release: Release) -> ReleaseEdit:
        """What differs from the release as it is now; the rest is left alone."""
        starts_at, deadline = aware(self.starts_at.data), aware(self.mandatory_from.data)
        is_same_start = self.starts_at.name not in request.form or _same_minute(starts_at, release.starts_at)
        lower, upper = (self.critical_from.data or "").strip(), (self.critical_below.data or "").strip()
        is_same_group = sorted(self.groups.data or ()) == sorted(group.name for group in release.groups)
        return ReleaseEdit(
            starts_at=None if is_same_start else starts_at,
            starts_now=starts_at is None and not is_same_start,
            mandatory_from=None if _same_minute(deadline, release.mandatory_from) else deadline,
            clears_deadline=deadline is None and release.mandatory_from is not None,
            critical_from=None if lower == (release.critical_from or "") else lower,
            critical_below=None if upper == (release.critical_below or "") else upper,
            groups=None if is_same_group else tuple(self.groups.data or ()),
            is_floor=None if self.is_floor.data == release.is_floor else self.is_floor.data,
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the plan as it was typed."""

    percent: str = ""
    hours: str = ""


def rows_of(release: Release) -> list[Row]:
    """The steps of a release's plan that still matter, and a step to add."""
    steps = plan_of(release)[release.plan_step or 0 :] if release.plan_step is not None else ()
    rows = [
        Row(f"{step.rollout / 100:g}", f"{step.soak_minutes / 60:g}" if step.soak_minutes else "")
        for step in steps
    ]
    return [*(rows or [Row(f"{release.rollout / 100:g}" if release.rollout else "", "24")]), Row(), Row()]


def rows_sent() -> list[Row]:
    """What was typed, with empty rows at the end; what never was a row is left out."""
    percents, hours = request.form.getlist("step_percent"), request.form.getlist("step_hours")
    rows = [
        Row(without_nul(a).strip()[:20], without_nul(b).strip()[:20])
        for a, b in zip(percents, hours, strict=False)
    ][:40]
    return [*(row for row in rows if row.percent or row.hours), Row(), Row()]


def plan_sent(rows: Sequence[Row]) -> Plan:
    """The plan that the rows say. Raises `Invalid` naming the row that can't be read."""
    filled = [row for row in rows if row.percent or row.hours]
    if not filled:
        raise Invalid(
            "bad_plan",
            "plan: there is no step yet. Fill in two rows at least, such as 10 % for 24 hours and then 100 %.",
        )
    if len(filled) == 1:
        raise Invalid(
            "bad_plan",
            "plan: one step is no plan. Add where it goes from there, such as 100 % in the last row.",
        )
    plan = tuple(
        PlanStep(
            _whole(row.percent, 100, f"Row {number}: the percentage"),
            _whole(row.hours or "0", 60, f"Row {number}: the hours"),
        )
        for number, row in enumerate(filled, 1)
    )
    for number, step in enumerate(plan[:-1], 1):
        if not 1 <= step.soak_minutes <= MAX_SOAK_MINUTES:
            longest = MAX_SOAK_MINUTES // 60
            raise Invalid(
                "bad_plan",
                f"plan: Row {number}: say how many hours it holds, up to {longest:,} (90 days). Only the last needs none.",
            )
    return plan


def aware(when: datetime | None) -> datetime | None:
    """What was typed as UTC."""
    return when.replace(tzinfo=UTC) if when is not None else None


def typed(when: datetime | None) -> datetime | None:
    """A moment as a form shows it: in UTC, to the minute."""
    return when.astimezone(UTC).replace(tzinfo=None, second=0, microsecond=0) if when is not None else None


def from_address() -> MultiDict[str, str] | None:
    """What was chosen so far, when the form asks for itself again; None when it is opened."""
    return request.args if "rollout" in request.args else None


def _same_minute(one: datetime | None, other: datetime | None) -> bool:
    if one is None or other is None:
        return one is other
    return timedelta(0) <= other - one < timedelta(minutes=1)


def _whole(text: str, times: int, what: str) -> int:
    try:
        number = Decimal(text.replace(",", "."))
    except InvalidOperation:
        raise Invalid("bad_plan", f"plan: {what} can't be read: {text[:20]!r}. Expected a number.") from None
    if not number.is_finite() or not 0 <= number <= _LARGEST:
        raise Invalid("bad_plan", f"plan: {what} can't be {text[:20]}.")
    scaled = number * times
    if scaled % 1:
        finest = "two decimals" if times == 100 else "whole minutes"
        raise Invalid("bad_plan", f"plan: {what} can't be {text[:20]}: at most {finest}.")
    return int(scaled)
