"""Forms that start and end an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.fields.simple import HiddenField
from wtforms.validators import InputRequired, Length, Optional

from ota.core.experiments import Arm
from ota.core.platforms import Platform
from ota.db import reader
from ota.experiments import arms as experiment_arms
from ota.models import App, Experiment
from ota.web.forms import Form, Percent

ARMS = 4
"""Arms that the form has room for. Programs can start an experiment with more."""

_NOBODY = "0"


class ExperimentForm(Form):
    """The name and channel of an experiment, and a version and a percentage for each arm."""

    name = StringField("Name", [InputRequired("Give the experiment a name."), Length(max=80)])
    channel = SelectField("Channel")

    def validate(self, extra_validators: Mapping[str, Any] | None = None) -> bool:
        is_valid: bool = super().validate(extra_validators)
        for number in _NUMBERS:
            version, share = self[f"version_{number}"], self[f"percent_{number}"]
            is_share = share.data is not None and share.data.is_finite() and 0 < share.data <= 100
            if version.data and not is_share and not share.errors:
                share.errors, is_valid = ["Expected 0.01 to 100 percent."], False
        return is_valid

    def arms(self) -> tuple[Arm, ...]:
        """Return the arms that were filled in."""
        pairs = [(self[f"version_{number}"].data, self[f"percent_{number}"].data) for number in _NUMBERS]
        return tuple(Arm(int(version), int(share * 100)) for version, share in pairs if version)


_NUMBERS = range(1, ARMS + 1)
for _number in _NUMBERS:
    setattr(ExperimentForm, f"version_{_number}", SelectField(f"Version {_number}", [Optional()]))
    setattr(ExperimentForm, f"percent_{_number}", Percent(f"Percent {_number}", [Optional()]))


class EndForm(Form):
    """The winner of an experiment, or nobody."""

    winner = SelectField("Winner", default=_NOBODY)
    revision = HiddenField()

    def winner_version_id(self) -> int | None:
        """Return the id of the winning version; None for nobody."""
        return None if self.winner.data == _NOBODY else int(self.winner.data)


def experiment_form(app: App) -> ExperimentForm:
    """Return the form with the app's channels and versions as choices."""
    form = ExperimentForm()
    form.channel.choices = [channel.name for channel in app.channels]
    choices = [SelectChoice("", "none")]
    for version in experiment_arms.candidates(reader(), app):
        label = f"{version.version} (+{version.version_code}), {Platform(version.platform).label}"
        choices.append(SelectChoice(str(version.id), label))
    for number in _NUMBERS:
        form[f"version_{number}"].choices = choices
    return form


def end_form(experiment: Experiment) -> EndForm:
    """Return the form with the arms of the experiment as choices."""
    form = EndForm(revision=experiment.revision)
    arms = [SelectChoice(str(arm.version_id), arm.version.version) for arm in experiment.arms]
    form.winner.choices = [SelectChoice(_NOBODY, "Nobody"), *arms]
    return form
