"""Forms that several pages share, and fields.

They check only what a form must; the rules are in the verbs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DecimalField,
    Field,
    FileField,
    HiddenField,
    IntegerField,
    PasswordField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, NumberRange, Optional, ValidationError

from ota.core.install_access import InstallAccess
from ota.core.permissions import Role
from ota.core.platforms import Platform
from ota.errors import OtaError

_ROLES = [SelectChoice(role.value, role.value) for role in Role]
_INSTALL_ACCESS = [
    SelectChoice(InstallAccess.OPEN.value, "Open to everybody"),
    SelectChoice(InstallAccess.LINKS.value, "Only with a share link"),
    SelectChoice(InstallAccess.OFF.value, "Off"),
]
_NUMBER = "Expected a number, such as 12.5."
_PLATFORMS = [SelectChoice(platform.value, platform.label) for platform in Platform]


class Form(FlaskForm):  # type: ignore[misc]
    """Base of all forms.

    Removes the character NUL, which databases refuse. Several forms can be on one page.
    """

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        if "csrf_token" in self:
            # Each form has a token, and an id can occur only once on a page.
            self.csrf_token.render_kw = {"id": False}

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        def bind_field(self, form: Any, unbound_field: Any, options: Any) -> Any:
            filters = [*unbound_field.kwargs.get("filters", ()), without_nul]
            return unbound_field.bind(form=form, filters=filters, **options)


class Between(NumberRange):  # type: ignore[misc]
    """A range for numbers of any length.

    The library's own fails on numbers that are too large for a float.
    """

    def __call__(self, form: Any, field: Field) -> None:
        if field.data is None and field.errors:
            return  # Not a number, which is an error of the field already.
        if field.data is not None and abs(field.data) > self.max:
            raise ValidationError(self.message)
        super().__call__(form, field)


class Number(DecimalField):  # type: ignore[misc]
    """A number with a point or a comma. None for an empty field, and for a number that is not finite."""

    data: Any

    def __init__(self, label: str, validators: Sequence[Any] = (), **options: Any) -> None:
        super().__init__(label, validators, places=None, **options)

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata([value.replace(",", ".") for value in valuelist])
        except ValueError:
            raise ValueError(_NUMBER) from None
        if self.data is not None and not self.data.is_finite():
            self.data = None
            raise ValueError(_NUMBER)


class Percent(Number):
    """A share of devices in percent, stored in hundredths. Each form has its own range."""

    def post_validate(self, form: Any, validation_stopped: bool) -> None:
        is_share = (
            not validation_stopped and not self.errors and self.data is not None and 0 <= self.data <= 100
        )
        if is_share and (self.data * 100) % 1:
            raise ValidationError("At most two decimals: a rollout is counted in hundredths of a percent.")


class LoginForm(Form):
    email = StringField("E-mail", [InputRequired("Enter your e-mail address."), Length(max=254)])
    password = PasswordField("Password", [InputRequired("Enter your password."), Length(max=256)])


class PasswordForm(Form):
    current = PasswordField("Current password", [InputRequired("Enter your current password.")])
    password = PasswordField("New password", [InputRequired("Enter a new password.")])
    again = PasswordField("New password again", [InputRequired("Enter the new password again.")])

    def validate_again(self, field: Field) -> None:
        if field.data != self.password.data:
            raise ValidationError("The two new passwords differ.")


class AppForm(Form):
    name = StringField("Name", [InputRequired("Give the app a name."), Length(max=120)])
    slug = StringField("Slug", [InputRequired("Give the app a slug."), Length(max=60)])


class RenameForm(Form):
    name = StringField("Name", [InputRequired("Give the app a name."), Length(max=120)])
    revision = HiddenField()


class TrustForm(Form):
    allows_v1_only = BooleanField("Builds signed with scheme v1 alone")
    allows_debuggable = BooleanField("Debug builds")
    allows_external = BooleanField("Files that live elsewhere")
    revision = HiddenField()


class InstallAccessForm(Form):
    install_access = SelectField("Who may see it", choices=_INSTALL_ACCESS)
    revision = HiddenField()


class ShareForm(Form):
    name = StringField("Name", [InputRequired("Say whom the link is for."), Length(max=80)])
    days = IntegerField(
        "Expires after days",
        [InputRequired("Enter a number of days."), Between(1, 365, "Expected 1 to 365 days.")],
    )
    password = PasswordField("Password", [Optional(), Length(6, 256, "A password has 6 to 256 characters.")])


class LinkPasswordForm(Form):
    password = PasswordField("Password", [InputRequired("Enter the password that came with the link.")])


class UdidForm(Form):
    udid = StringField(
        "UDID of your device", [InputRequired("Enter the UDID of your device."), Length(max=100)]
    )


class UploadForm(Form):
    file = FileField("APK or IPA")
    release_notes = TextAreaField("Release notes", [Optional()])
    min_supported_version = StringField("Minimum supported version", [Optional(), Length(max=50)])
    is_mandatory = BooleanField("Mandatory")


class EditForm(Form):
    release_notes = TextAreaField("Release notes", [Optional()])
    min_supported_version = StringField("Minimum supported version", [Optional(), Length(max=50)])
    is_mandatory = BooleanField("Mandatory")
    revision = HiddenField()


class ExternalForm(Form):
    version = StringField(
        "Version", [InputRequired("Enter the version's name, for example 1.4.0."), Length(max=50)]
    )
    version_code = IntegerField("Version code", [InputRequired("Enter the version code, a whole number.")])
    platform = SelectField("Platform", choices=_PLATFORMS)
    download_url = StringField(
        "Download address", [InputRequired("Enter the address of the file."), Length(max=500)]
    )
    file_size = IntegerField("File size in bytes", [Optional()])
    checksum = StringField("SHA-256", [InputRequired("Enter the file's SHA-256; sha256sum prints it.")])
    release_notes = TextAreaField("Release notes", [Optional()])
    min_supported_version = StringField("Minimum supported version", [Optional(), Length(max=50)])
    is_mandatory = BooleanField("Mandatory")


class RolloutForm(Form):
    rollout = Percent("Rollout in percent", [InputRequired("Enter a percentage.")], default=100)
    revision = HiddenField()

    def validate_rollout(self, field: Field) -> None:
        if field.data is None:
            return  # Not a number, which is an error of the field already.
        if not 0 <= field.data <= 100:
            raise ValidationError("Expected 0 to 100 percent.")


class ConfirmForm(Form):
    revision = HiddenField()


class PersonForm(Form):
    email = StringField("E-mail", [InputRequired("Enter an e-mail address."), Length(max=254)])
    role = SelectField("Role", choices=_ROLES)


class RoleForm(Form):
    role = SelectField("Role", choices=_ROLES)


class TokenForm(Form):
    name = StringField("Name", [InputRequired("Say what uses the token."), Length(max=80)])
    role = SelectField("Role", choices=_ROLES, default=Role.PUBLISHER.value)
    lifetime_days = IntegerField(
        "Expires after days", [Optional(), Between(1, 3650, "Expected 1 to 3650 days.")]
    )


def without_nul(value: Any) -> Any:
    """Return a text without NUL, and any other value unchanged."""
    return value.replace("\0", "") if isinstance(value, str) else value


def seen_revision(form: Any) -> int | None:
    """Return the revision that the form was made from, or None if it is missing or not a number."""
    sent = form.revision.raw_data
    text = sent[0] if sent else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def show_error(form: Any, error: OtaError) -> None:
    """Show a verb's error next to its field, or above the form if it has none."""
    if error.field in form and error.field != "csrf_token":
        form[error.field].errors = [*form[error.field].errors, error.sentence]
    else:
        form.form_errors.append(error.message)
