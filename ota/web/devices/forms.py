"""Forms of devices and device groups."""

from __future__ import annotations

from wtforms import HiddenField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, Optional

from ota.devices.devices import MAX_DEVICE_ID
from ota.devices.group_members import MAX_NOTE
from ota.devices.groups import MAX_NAME
from ota.web.forms import Form


class LookUpForm(Form):
    device_id = StringField(
        "Device id",
        [
            InputRequired("Enter the id that the app sends."),
            Length(max=MAX_DEVICE_ID, message=f"At most {MAX_DEVICE_ID} characters."),
        ],
    )


class GroupForm(Form):
    name = StringField(
        "Name", [InputRequired("Give the group a name, for example Testers."), Length(max=MAX_NAME)]
    )
    revision = HiddenField()


class DevicesForm(Form):
    add = TextAreaField("Device ids, one per line", [DataRequired("Paste at least one device id.")])
    note = StringField("Note", [Optional(), Length(max=MAX_NOTE)])

    def ids(self) -> list[str]:
        """Return the pasted lines without empty ones."""
        return [line.strip() for line in (self.add.data or "").splitlines() if line.strip()]
