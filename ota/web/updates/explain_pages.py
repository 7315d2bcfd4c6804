"""Pages that explain the answer to a device, and fragments that preview the reach of a release."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from wtforms import BooleanField, IntegerField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length, Optional, Regexp

from ota.apps import apps
from ota.builds import versions
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.core.platforms import Platform
from ota.core.rule_sentences import name_of
from ota.db import reader
from ota.errors import OtaError
from ota.models import App, Release
from ota.releases import previews
from ota.releases import rows as release_rows
from ota.updates import explaining
from ota.updates.explaining import Explained, Inquiry
from ota.web.access import page
from ota.web.devices.views import looked_up
from ota.web.forms import Between, Form, RolloutForm, show_error
from ota.web.frame import render_page
from ota.web.in_view import app_in_view
from ota.web.journal import hashed
from ota.web.operation import with_plus
from ota.web.updates.explain_views import explain_answer, preview_sentence

blueprint = Blueprint("admin_explain", __name__, url_prefix="/apps/<slug>")

_WITHOUT_CSRF: dict[str, Any] = {"csrf": False}
"""These forms change nothing, and the address of a question can be shared."""


class ExplainForm(Form):
    platform = SelectField(
        "Platform", validate_choice=False, choices=[SelectChoice(each.value, each.label) for each in Platform]
    )
    channel = SelectField("Channel", validate_choice=False)
    device_id = StringField("Device id", [Optional(), Length(max=200, message="At most 200 characters.")])
    current_version = StringField(
        "Current version", [Optional(), Length(max=200, message="At most 200 characters.")]
    )
    sdk = IntegerField(
        "Android API level", [Optional(), Between(1, 10_000, "Expected a whole number such as 34.")]
    )
    os_version = StringField(
        "iOS version",
        [Optional(), Length(max=20), Regexp(r"[0-9]+(\.[0-9]+)*\Z", message="Expected 17.2 or the like.")],
    )
    abis = StringField(
        "Processor",
        [
            Optional(),
            Regexp(
                r"[0-9A-Za-z_-]{1,20}( *, *[0-9A-Za-z_-]{1,20}){0,7}\Z",
                message="Expected names with commas, such as arm64-v8a.",
            ),
        ],
    )
    user_initiated = BooleanField('"Check for updates" was pressed')


@blueprint.get("/explain")
@page(Access.VIEW)
def show(slug: str) -> ResponseReturnValue:
    """Explain the answer to one device.

    The question is in the address. For a device that was looked up its hash is there, and not its id.
    """
    app = app_in_view(slug)
    form = _form(app)
    device, device_id = _device(form)
    found = _explained(app, form, device_id) if request.args and not form.form_errors else None
    view = explain_answer(found, device_id=device_id, locale=None) if found else None
    page_ = render_page(
        "updates/explain.html", app=app, form=form, found=found, view=view, device=device, name_of=name_of
    )
    return page_, 422 if form.errors or form.form_errors else 200


@blueprint.get("/versions/<int:version_id>/preview")
@page(Access.VIEW)
def preview_version(slug: str, version_id: int) -> ResponseReturnValue:
    """Preview a release of a version: a fragment that the dialog loads."""
    app = app_in_view(slug)
    version = versions.get(reader(), version_id, app=app)
    form = _rollout_form(100)
    try:
        channel = apps.find_channel(app, request.args.get("channel"))
        return _preview(form, previews.draft(reader(), version, channel, now=utcnow()))
    except OtaError as error:
        return _fragment(wrong=error.message), 422


@blueprint.get("/releases/<int:release_id>/preview")
@page(Access.VIEW)
def preview_release(slug: str, release_id: int) -> ResponseReturnValue:
    """Preview a release at another rollout: a fragment that its slider loads."""
    app = app_in_view(slug)
    release = release_rows.get(reader(), release_id, app=app)
    try:
        return _preview(_rollout_form(release.rollout / 100), previews.check_live(release))
    except OtaError as error:
        return _fragment(wrong=error.message), 422


def _form(app: App) -> ExplainForm:
    form = ExplainForm(request.args, meta=_WITHOUT_CSRF)
    form.channel.choices = [channel.name for channel in app.channels]
    form.platform.data = form.platform.data or Platform.ANDROID.value
    form.channel.data = form.channel.data or apps.find_channel(app, None).name
    form.current_version.data = with_plus(form.current_version.data)
    return form


def _device(form: ExplainForm) -> tuple[str | None, str | None]:
    """The hash of a device that was looked up, and the device's id, from the look-up or the form."""
    device = request.args.get("device")
    if form.device_id.data or not device:
        return None, form.device_id.data
    device_id = looked_up(device)
    if device_id is None:
        form.form_errors.append("The id of this device is not kept. Enter it, or look the device up again.")
        return None, None
    return device, device_id


def _explained(app: App, form: ExplainForm, device_id: str | None) -> Explained | None:
    """The explanation; None with an error in the form if the question can't be answered."""
    if not form.validate():
        return None
    device_hash = hashed(device_id) if device_id else None
    try:
        return explaining.explain_answer(
            reader(), _inquiry(app, form, device_id), device_hash=device_hash, now=utcnow()
        )
    except OtaError as error:
        show_error(form, error)
        return None


def _inquiry(app: App, form: ExplainForm, device_id: str | None) -> Inquiry:
    return Inquiry(
        platform=form.platform.data,
        channel=form.channel.data,
        app=app.slug,
        device_id=device_id,
        current_version=form.current_version.data,
        user_initiated=form.user_initiated.data,
        sdk=form.sdk.data,
        os_version=form.os_version.data,
        abis=tuple(each.strip() for each in (form.abis.data or "").split(",") if each.strip()),
    )


def _rollout_form(percent: float) -> RolloutForm:
    given = request.args if request.args.get("rollout") else None
    return RolloutForm(given, meta=_WITHOUT_CSRF, rollout=percent)


def _preview(form: RolloutForm, release: Release) -> ResponseReturnValue:
    if request.args.get("rollout") and not form.validate():
        return _fragment(wrong=" ".join(form.rollout.errors)), 422
    rollout = int(form.rollout.data * 100) if request.args.get("rollout") else None
    found = previews.preview(reader(), release, utcnow(), rollout)
    return _fragment(preview=found, sentence=preview_sentence(found))


def _fragment(**context: Any) -> str:
    return render_template("releases/_preview.html", **context)
