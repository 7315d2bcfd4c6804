"""Pages for the alerts of an app: webhooks, recipients of e-mail, deliveries."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from werkzeug import Response

from ota.alerts import deliveries, receivers
from ota.apps import apps
from ota.clock import utcnow
from ota.config import Settings
from ota.core.alerts import MAX_TRIES
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.errors import Conflict, OtaError
from ota.models import App, Webhook
from ota.parts import part
from ota.web.access import actor, page
from ota.web.alerts.api import allows_private
from ota.web.alerts.forms import EVENT_WORDS, RecipientForm, WebhookForm
from ota.web.forms import ConfirmForm, seen_revision, show_error
from ota.web.frame import render_page, start_of_page
from ota.web.in_view import app_in_view

blueprint = Blueprint("admin_alerts", __name__, url_prefix="/apps/<slug>/alerts")

PAGE = 20


@blueprint.get("")
@page(Access.ADMIN)
def index(slug: str) -> ResponseReturnValue:
    """List the receivers and the newest deliveries."""
    return _page(app_in_view(slug))


@blueprint.post("/webhooks")
@page(Access.ADMIN)
def add_webhook(slug: str) -> ResponseReturnValue:
    """Create a webhook and show its secret, once."""
    form = WebhookForm(prefix="webhook-")
    if not form.validate_on_submit():
        return _page(app_in_view(slug), form=form), 422
    try:
        webhook = _add_webhook(slug, form)
    except OtaError as error:
        show_error(form, error)
        return _page(app_in_view(slug), form=form), 422
    return _page(app_in_view(slug), made=webhook, secret=webhook.secret)


@blueprint.get("/webhooks/<int:webhook_id>")
@page(Access.ADMIN)
def show(slug: str, webhook_id: int) -> ResponseReturnValue:
    """Show a webhook, its choice of events, and its deliveries."""
    return _webhook_page(slug, webhook_id)


@blueprint.post("/webhooks/<int:webhook_id>")
@page(Access.ADMIN)
def edit(slug: str, webhook_id: int) -> ResponseReturnValue:
    """Change a webhook's address or events, or switch it on or off."""
    form = WebhookForm()
    if not form.validate_on_submit():
        return _webhook_page(slug, webhook_id, form=form), 422
    try:
        _edit_webhook(slug, webhook_id, form)
    except Conflict as error:
        form.revision.data = str(receivers.get_webhook(reader(), webhook_id).revision)
        return _webhook_page(slug, webhook_id, form=form, stale=error.details["current"]), 409
    except OtaError as error:
        show_error(form, error)
        return _webhook_page(slug, webhook_id, form=form), 422
    flash("The webhook is changed.")
    return redirect(url_for("admin_alerts.show", slug=slug, webhook_id=webhook_id), 303)


@blueprint.route("/webhooks/<int:webhook_id>/rotate", methods=["GET", "POST"])
@page(Access.ADMIN)
def rotate(slug: str, webhook_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then renew the secret and show it, once."""
    form, webhook = ConfirmForm(), receivers.get_webhook(reader(), webhook_id, app=app_in_view(slug))
    if not form.validate_on_submit():
        return _confirm("rotate", "Make a new secret", app=webhook.app, form=form, webhook=webhook)
    with transaction() as session:
        webhook = receivers.get_webhook(session, webhook_id, app=apps.find(session, slug))
        receivers.edit_webhook(
            session, actor(), webhook, rotates_secret=True, allows_private=allows_private(), now=utcnow()
        )
    return _webhook_page(slug, webhook_id, secret=webhook.secret)


@blueprint.post("/webhooks/<int:webhook_id>/test")
@page(Access.ADMIN)
def test(slug: str, webhook_id: int) -> ResponseReturnValue:
    """Send a test alert to a webhook."""
    with transaction() as session:
        webhook = receivers.get_webhook(session, webhook_id, app=apps.find(session, slug))
        receivers.test_webhook(session, actor(), webhook, now=utcnow())
    flash("A test is on its way. Load the page again in a moment to see what was answered.")
    return _back(slug)


@blueprint.route("/webhooks/<int:webhook_id>/delete", methods=["GET", "POST"])
@page(Access.ADMIN)
def delete(slug: str, webhook_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then delete a webhook and its deliveries."""
    form, webhook = ConfirmForm(), receivers.get_webhook(reader(), webhook_id, app=app_in_view(slug))
    if not form.validate_on_submit():
        count = deliveries.count(reader(), webhook_id=webhook_id)
        return _confirm(
            "delete", "Delete the webhook", app=webhook.app, form=form, webhook=webhook, count=count
        )
    with transaction() as session:
        webhook = receivers.get_webhook(session, webhook_id, app=apps.find(session, slug))
        receivers.delete_webhook(session, actor(), webhook, now=utcnow())
    flash("The webhook is deleted.")
    return _back(slug)


@blueprint.post("/recipients")
@page(Access.ADMIN)
def add_recipient(slug: str) -> ResponseReturnValue:
    """Add a recipient of e-mail."""
    form = RecipientForm(prefix="recipient-")
    if not form.validate_on_submit():
        return _page(app_in_view(slug), recipient_form=form), 422
    email, events = form.email.data, form.events.data
    try:
        with transaction() as session:
            app = apps.find(session, slug)
            added = receivers.add_recipient(session, actor(), app, email=email, events=events, now=utcnow())
    except OtaError as error:
        show_error(form, error)
        return _page(app_in_view(slug), recipient_form=form), 422
    flash(f"{added.email} gets e-mail from now on.")
    return _back(slug)


@blueprint.route("/recipients/<int:recipient_id>/remove", methods=["GET", "POST"])
@page(Access.ADMIN)
def remove_recipient(slug: str, recipient_id: int) -> ResponseReturnValue:
    """Ask for confirmation, then remove a recipient and its deliveries."""
    form, recipient = ConfirmForm(), receivers.get_recipient(reader(), recipient_id, app=app_in_view(slug))
    if not form.validate_on_submit():
        count = deliveries.count(reader(), recipient_id=recipient_id)
        return _confirm(
            "remove", "Remove the recipient", app=recipient.app, form=form, recipient=recipient, count=count
        )
    email = recipient.email
    with transaction() as session:
        found = receivers.get_recipient(session, recipient_id, app=apps.find(session, slug))
        receivers.remove_recipient(session, actor(), found, now=utcnow())
    flash(f"{email} gets no more e-mail about this app.")
    return _back(slug)


@blueprint.get("/sent")
@page(Access.ADMIN)
def sent(slug: str) -> ResponseReturnValue:
    """List all deliveries of the last 30 days."""
    app = app_in_view(slug)
    return render_page("alerts/alerts_sent.html", app=app, confirm=ConfirmForm(formdata=None), **_sent(app))


@blueprint.post("/deliveries/<int:delivery_id>/resend")
@page(Access.ADMIN)
def resend(slug: str, delivery_id: int) -> ResponseReturnValue:
    """Send a delivery again."""
    try:
        with transaction() as session:
            delivery = deliveries.get(session, delivery_id, app=apps.find(session, slug))
            deliveries.resend(session, delivery, now=utcnow())
        flash("It is sent again. Load the page again in a moment to see what was answered.")
    except Conflict as error:
        flash(error.message, "bad")
    return _back(slug)


def _add_webhook(slug: str, form: WebhookForm) -> Webhook:
    with transaction() as session:
        return receivers.add_webhook(
            session,
            actor(),
            apps.find(session, slug),
            url=form.url.data,
            events=form.events.data,
            allows_private=allows_private(),
            now=utcnow(),
        )


def _edit_webhook(slug: str, webhook_id: int, form: WebhookForm) -> None:
    with transaction() as session:
        receivers.edit_webhook(
            session,
            actor(),
            receivers.get_webhook(session, webhook_id, app=apps.find(session, slug)),
            url=form.url.data,
            events=form.events.data,
            is_enabled=form.is_enabled.data,
            revision=seen_revision(form) or 0,
            allows_private=allows_private(),
            now=utcnow(),
        )


def _confirm(act: str, title: str, **context: Any) -> str:
    fragment = "alerts/_confirm.html"
    return render_page("frame/confirm_act.html", fragment, dialog=fragment, title=title, act=act, **context)


def _back(slug: str) -> Response:
    return redirect(url_for("admin_alerts.index", slug=slug), 303)


def _page(
    app: App, *, form: WebhookForm | None = None, recipient_form: RecipientForm | None = None, **context: Any
) -> str:
    return render_page(
        "alerts/alerts.html",
        app=app,
        form=form or WebhookForm(formdata=None, prefix="webhook-"),
        recipient_form=recipient_form or RecipientForm(formdata=None, prefix="recipient-"),
        webhooks=receivers.webhooks_of(reader(), app),
        recipients=receivers.recipients_of(reader(), app),
        has_mail=bool(part(Settings).smtp_url),
        confirm=ConfirmForm(formdata=None),
        **_sent(app),
        **context,
    )


def _webhook_page(slug: str, webhook_id: int, *, form: WebhookForm | None = None, **context: Any) -> str:
    app = app_in_view(slug)
    webhook = receivers.get_webhook(reader(), webhook_id, app=app)
    shown = form or WebhookForm(
        formdata=None,
        url=webhook.url,
        events=webhook.events,
        is_enabled=webhook.is_enabled,
        revision=webhook.revision,
    )
    return render_page(
        "alerts/webhook.html",
        app=app,
        webhook=webhook,
        form=shown,
        confirm=ConfirmForm(formdata=None),
        **_sent(app, webhook_id),
        **context,
    )


def _sent(app: App, webhook_id: int | None = None) -> dict[str, Any]:
    start = start_of_page()
    found = deliveries.of_app(reader(), app, webhook_id=webhook_id, limit=PAGE + 1, offset=start)
    return {
        "sent": found[:PAGE],
        "start": start,
        "page_size": PAGE,
        "has_more": len(found) > PAGE,
        "words": EVENT_WORDS,
        "max_tries": MAX_TRIES,
    }
