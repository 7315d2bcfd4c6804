"""Forms that offer a version and change the plan and the terms of a release."""

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
from ota.db import reader
from ota.devices import groups
from ota.errors import Invalid
from ota.models import App, Release
from ota.releases.edits import ReleaseEdit
from ota.releases.terms import plan_of
from ota.web.forms import Form, RolloutForm, without_nul

DAY = 24 * 60
ONCE, OWN = "once", "own"
"""Choices of the publish dialog without a preset plan."""

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
_NOT_A_TIME = "Expected a date and a time, such as 2026-03-01 14:30."
_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S"]
_LARGEST = Decimal(100_000)
"""Numbers above it are refused before they are multiplied."""


class Checkboxes(SelectMultipleField):  # type: ignore[misc]
    """Several choices as checkboxes."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class MomentField(DateTimeLocalField):  # type: ignore[misc]
    """An optional date and time in UTC."""

    def __init__(self, label: str, **options: Any) -> None:
        super().__init__(label, [Optional()], format=_FORMATS, **options)

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError(_NOT_A_TIME) from None


class PublishForm(RolloutForm):
    """Where, how and to whom to offer a version. ``repairs`` makes it mandatory for devices left behind."""

    channel = SelectField("Channel")
    plan = SelectField("How", choices=_PLANS, default=ONCE)
    starts_at = MomentField("Start at (UTC)")
    groups = Checkboxes("Offer it to these groups in any case")
    repairs = BooleanField("Mandatory", default=True)

    def initial_rollout(self) -> int | None:
        """Return the rollout at the start, in basis points; None if a plan decides it."""
        return None if self.plan.data in PRESETS else int(self.rollout.data * 100)

    def final_rollout(self) -> int:
        """Return the widest rollout, in basis points. An unreadable one counts as all devices."""
        if self.plan.data in PRESETS or self.rollout.data is None or self.rollout.errors:
            return FULL
        return int(self.rollout.data * 100)


class TermsForm(Form):
    """The terms of a live release."""

    starts_at = MomentField("Starts at (UTC)")
    mandatory_from = MomentField("Mandatory for everybody from (UTC)")
    critical_from = StringField("Versions from", [Optional(), Length(max=60)])
    critical_below = StringField("and below", [Optional(), Length(max=60)])
    groups = Checkboxes("Groups that get it whatever the rollout")
    is_floor = BooleanField("Floor: older devices must pass through this version")
    revision = HiddenField()

    def changes(self, release: Release) -> ReleaseEdit:
        """Return the terms that differ from those of the release."""
        starts_at, deadline = as_utc(self.starts_at.data), as_utc(self.mandatory_from.data)
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
class PlanRow:
    """One row of the plan form, as it was typed."""

    percent: str = ""
    hours: str = ""


def plan_rows_of(release: Release) -> list[PlanRow]:
    """Return rows for the present and later steps of a release's plan, and two empty ones."""
    steps = plan_of(release)[release.plan_step or 0 :] if release.plan_step is not None else ()
    rows = [
        PlanRow(f"{step.rollout / 100:g}", f"{step.soak_minutes / 60:g}" if step.soak_minutes else "")
        for step in steps
    ]
    first = PlanRow(f"{release.rollout / 100:g}" if release.rollout else "", "24")
    return [*(rows or [first]), PlanRow(), PlanRow()]


def sent_plan_rows() -> list[PlanRow]:
    """Return the rows that were filled in, and two empty ones."""
    percents, hours = request.form.getlist("step_percent"), request.form.getlist("step_hours")
    rows = [
        PlanRow(without_nul(percent).strip()[:20], without_nul(hour).strip()[:20])
        for percent, hour in zip(percents, hours, strict=False)
    ][:40]
    return [*(row for row in rows if row.percent or row.hours), PlanRow(), PlanRow()]


def read_plan(rows: Sequence[PlanRow]) -> Plan:
    """Return the plan in the rows. Raises `Invalid` that names the unreadable row."""
    filled = [row for row in rows if row.percent or row.hours]
    if not filled:
        raise Invalid.about(
            "plan",
            "bad_plan",
            "there is no step yet. Fill in two rows at least, such as 10 % for 24 hours and then 100 %.",
        )
    if len(filled) == 1:
        raise Invalid.about(
            "plan",
            "bad_plan",
            "one step is no plan. Add where it goes from there, such as 100 % in the last row.",
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
            raise Invalid.about(
                "plan",
                "bad_plan",
                f"Row {number}: say how many hours it holds, up to {longest:,} (90 days). "
                "Only the last needs none.",
            )
    return plan


def as_utc(when: datetime | None) -> datetime | None:
    """Return a typed time with its zone, which is UTC."""
    return when.replace(tzinfo=UTC) if when is not None else None


def as_typed(when: datetime | None) -> datetime | None:
    """Return a time as a form shows it: in UTC, to the minute, without a zone."""
    return when.astimezone(UTC).replace(tzinfo=None, second=0, microsecond=0) if when is not None else None


def choices_in_query() -> MultiDict[str, str] | None:
    """Return the choices so far when the dialog reloads itself; None when it is opened."""
    return request.args if "rollout" in request.args else None


def terms_form(app: App, release: Release, *, is_sent: bool = False) -> TermsForm:
    """Return the form of a release's terms: as they are, or as they were sent."""
    given: dict[str, Any] = {} if is_sent else {"formdata": None}
    form = TermsForm(
        **given,
        starts_at=as_typed(release.starts_at),
        mandatory_from=as_typed(release.mandatory_from),
        critical_from=release.critical_from,
        critical_below=release.critical_below,
        groups=[group.name for group in release.groups],
        is_floor=release.is_floor,
        revision=release.revision,
    )
    form.groups.choices = groups_of(app)
    return form


def groups_of(app: App) -> list[str]:
    """Return the names of the app's device groups."""
    return [group.name for group in groups.of_app(reader(), app)]


def _same_minute(one: datetime | None, other: datetime | None) -> bool:
    if one is None or other is None:
        return one is other
    return timedelta(0) <= other - one < timedelta(minutes=1)


def _whole(text: str, times: int, what: str) -> int:
    try:
        number = Decimal(text.replace(",", "."))
    except InvalidOperation:
        raise Invalid.about(
            "plan", "bad_plan", f"{what} can't be read: {text[:20]!r}. Expected a number."
        ) from None
    if not number.is_finite() or not 0 <= number <= _LARGEST:
        raise Invalid.about("plan", "bad_plan", f"{what} can't be {text[:20]}.")
    scaled = number * times
    if scaled % 1:
        finest = "two decimals" if times == 100 else "whole minutes"
        raise Invalid.about("plan", "bad_plan", f"{what} can't be {text[:20]}: at most {finest}.")
    return int(scaled)
