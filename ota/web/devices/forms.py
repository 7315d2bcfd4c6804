"""Forms of device groups."""

from __future__ import annotations

from wtforms import HiddenField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, Optional

from ota.devices.groups import MAX_NAME, MAX_NOTE
from ota.web.forms import Form


class GroupForm(Form):
    name = StringField(
        "Name", [InputRequired("Give the group a name, for example Testers."), Length(max=MAX_NAME)]
    )
    revision = HiddenField()


class DevicesForm(Form):
    add = TextAreaField("Device ids, one per line", [DataRequired("Paste at least one device id.")])
    note = StringField("Note", [Optional(), Length(max=MAX_NOTE)])

    def ids(self) -> list[str]:
        """What was pasted, line by line, without empty ones."""
        return [line.strip() for line in (self.add.data or "").splitlines() if line.strip()]
