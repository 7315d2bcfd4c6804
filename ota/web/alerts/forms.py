"""Forms about alerts."""

from __future__ import annotations

from wtforms import BooleanField, HiddenField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from ota.core.alerts import SELECTABLE
from ota.web.forms import Form

EVENT_WORDS = {
    "upload.ready": "An upload became a version",
    "upload.rejected": "An upload was rejected",
    "release.published": "A version was published",
    "release.plan_step": "A plan took its next step",
    "release.found_bad": "A release looks bad",
    "release.halted": "A release was halted",
    "release.paused": "A release was paused",
    "release.resumed": "A release was resumed",
    "release.rolled_back": "A release was rolled back",
    "release.withdrawn": "A release was withdrawn",
    "app.shut_off": "The app or a channel was shut off",
    "app.turned_on": "The app or a channel was turned on again",
    "profile.expiring": "A profile is about to expire",
    "test": "Test",
}
_ALL = [kind.value for kind in SELECTABLE]
_CHOICES = [SelectChoice(kind, EVENT_WORDS[kind]) for kind in _ALL]


class EventsField(SelectMultipleField):  # type: ignore[misc]
    """The kinds of events as checkboxes."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()


class WebhookForm(Form):
    url = StringField(
        "Address", [InputRequired("Enter the address that is sent the events."), Length(max=500)]
    )
    events = EventsField("Events", choices=_CHOICES, default=_ALL)
    is_enabled = BooleanField("Switched on")
    revision = HiddenField()


class RecipientForm(Form):
    email = StringField("E-mail", [InputRequired("Enter an e-mail address."), Length(max=254)])
    events = EventsField("Events", choices=_CHOICES, default=_ALL)
