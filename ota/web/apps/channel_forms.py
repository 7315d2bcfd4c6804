"""Forms of channels."""

from __future__ import annotations

from decimal import Decimal

from wtforms import Field, HiddenField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length, Optional, ValidationError
from wtforms.widgets import CheckboxInput

from ota.apps.channels import ChannelEdit
from ota.models import Channel
from ota.web.forms import Form, Percent


class ChannelEditForm(Form):
    falls_back_to = SelectMultipleField("Falls back to", option_widget=CheckboxInput(), validate_choice=False)
    approval_above = Percent("Second person above (percent)", [Optional()])
    revision = HiddenField()

    def validate_approval_above(self, field: Field) -> None:
        if field.data is None:
            return  # Empty, or an error is shown already.
        if not field.data.is_finite() or not 0 <= field.data < 100:
            raise ValidationError("Expected 0 to 99.99 percent, or nothing where one person is enough.")

    def offer(self, others: list[Channel]) -> None:
        """Set the channels to choose from."""
        self.falls_back_to.choices = [(each.name, each.name) for each in others]

    def wanted(self) -> ChannelEdit:
        """Return the edit that was entered. Percent become basis points."""
        above = self.approval_above.data
        return ChannelEdit(tuple(self.falls_back_to.data or ()), None if above is None else int(above * 100))


class ChannelForm(ChannelEditForm):
    name = StringField("Name", [InputRequired("Give the channel a name, for example beta."), Length(max=100)])


def in_percent(basis_points: int | None) -> Decimal | None:
    """Return basis points as the value of a field in percent."""
    return None if basis_points is None else Decimal(f"{basis_points / 100:g}")
