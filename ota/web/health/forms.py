"""The form of an app's health policy."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Self

from wtforms import HiddenField, IntegerField, SelectField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from ota.core.lifecycle import HealthAction
from ota.health import policy as health_policy
from ota.health.policy import Rules
from ota.web.forms import Between, Form, Number

_NEEDED = InputRequired("Enter a number.")
_LEAST = Decimal("0.0001")
_IN_PERCENT = ("alpha", "acceptable_rate")
"""Shares that people enter as percentages."""

_ACTIONS = [
    SelectChoice(HealthAction.NOTIFY.value, "Only say so"),
    SelectChoice(HealthAction.HALT.value, "Halt it"),
    SelectChoice(HealthAction.ROLL_BACK.value, "Roll it back"),
]


class PolicyForm(Form):
    action = SelectField("When a release is bad", choices=_ACTIONS)
    alpha = Number(
        "So many percent of good releases may be called bad by chance",
        [_NEEDED, Between(_LEAST, 20, "Expected 0.0001 to 20 percent.")],
    )
    tolerated_ratio = Number(
        "With a control, failures are tolerated up to so many times its own",
        [_NEEDED, Between(1, 100, "Expected 1 to 100 times.")],
    )
    acceptable_rate = Number(
        "Without one, so many percent of the devices may fail",
        [_NEEDED, Between(_LEAST, 50, "Expected 0.0001 to 50 percent.")],
    )
    window_hours = IntegerField(
        "A failure counts within so many hours after installing",
        [_NEEDED, Between(1, 2160, "Expected 1 to 2160 hours.")],
    )
    min_failing_devices = IntegerField(
        "A release is bad only when so many devices have failed",
        [_NEEDED, Between(1, 1_000_000, "Expected 1 to 1000000 devices.")],
    )
    min_reports = IntegerField(
        "A plan waits until so many devices have reported",
        [_NEEDED, Between(0, 1_000_000, "Expected 0 to 1000000 devices.")],
    )
    silence_hours = IntegerField(
        "A device that normally calls has failed after so many silent hours",
        [_NEEDED, Between(0, 720, "Expected 0 to 720 hours.")],
    )
    revision = HiddenField()

    @classmethod
    def of(cls, rules: Rules) -> Self:
        """Make the form with the rules that apply, or with the values that were sent."""
        values = health_policy.values_of(rules)
        for name in _IN_PERCENT:
            values[name] = _plain(100 * values[name])
        values["tolerated_ratio"] = _plain(values["tolerated_ratio"])
        return cls(**values, revision=rules.revision)

    def changes(self) -> dict[str, Any]:
        """Return the values that were sent, as `ota.health.policy.change` takes them."""
        return {
            "action": HealthAction(self.action.data),
            "alpha": float(self.alpha.data / 100),
            "acceptable_rate": float(self.acceptable_rate.data / 100),
            "tolerated_ratio": float(self.tolerated_ratio.data),
            "window_hours": self.window_hours.data,
            "min_failing_devices": self.min_failing_devices.data,
            "min_reports": self.min_reports.data,
            "silence_hours": self.silence_hours.data,
        }


def _plain(value: float) -> str:
    return f"{value:.12g}"
