"""Pages of apps: the list, a new app, and the settings of one."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from ota.apps import apps
from ota.clock import utcnow
from ota.core.install_access import InstallAccess
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.errors import Conflict, OtaError
from ota.models import App
from ota.web.access import actor, page
from ota.web.forms import AppForm, ConfirmForm, InstallAccessForm, RenameForm, seen_revision, show_error
from ota.web.frame import render_page
from ota.web.in_view import app_in_view

blueprint = Blueprint("admin_apps", __name__)


@blueprint.get("/")
@page(Access.VIEW)
def home() -> ResponseReturnValue:
    """Go to the versions of the default app, or to the list of apps if there is none."""
    default = next((app for app in apps.everything(reader()) if app.is_default), None)
    if default is None:
        return redirect(url_for("admin_apps.index"), 303)
    return redirect(url_for("admin_versions.index", slug=default.slug), 303)


@blueprint.get("/apps")
@page(Access.VIEW)
def index() -> ResponseReturnValue:
    """All apps on this server."""
    return render_page("apps/apps.html", form=AppForm())


@blueprint.post("/apps")
@page(Access.ADMIN)
def create() -> ResponseReturnValue:
    """Make an app."""
    form = AppForm()
    if form.validate_on_submit():
        try:
            with transaction() as session:
                app = apps.create(session, actor(), slug=form.slug.data, name=form.name.data, now=utcnow())
            flash(f"{app.name} is ready for its first build.")
            return redirect(url_for("admin_versions.index", slug=app.slug), 303)
        except OtaError as error:
            show_error(form, error)
    return render_page("apps/apps.html", form=form), 422


@blueprint.route("/apps/<slug>/settings", methods=["GET", "POST"])
@page(Access.ADMIN)
def settings(slug: str) -> ResponseReturnValue:
    """Show the settings of the app, and rename it."""
    app = app_in_view(slug)
    form = RenameForm(name=app.name, revision=app.revision)
    if not form.validate_on_submit():
        return _settings_page(app, form), 422 if form.errors else 200
    try:
        _rename(slug, form)
    except OtaError as error:
        show_error(form, error)
        return _settings_page(app_in_view(slug), form), 409 if isinstance(error, Conflict) else 422
    flash("The name is changed.")
    return _to_settings(slug)


@blueprint.post("/apps/<slug>/default")
@page(Access.ADMIN)
def make_default(slug: str) -> ResponseReturnValue:
    """Make this the app that answers devices that name no app."""
    with transaction() as session:
        app = apps.find(session, slug)
        apps.make_default(session, actor(), app, now=utcnow())
    flash(f"{app.name} now answers devices that name no app.")
    return _to_settings(slug)


@blueprint.post("/apps/<slug>/install-access")
@page(Access.ADMIN)
def set_install_access(slug: str) -> ResponseReturnValue:
    """Set who can open the install page: everybody, people with a link, or nobody."""
    form = InstallAccessForm()
    if not form.validate_on_submit():
        return _settings_page(app_in_view(slug), access_form=form), 422
    try:
        _set_install_access(slug, form)
    except Conflict as error:
        show_error(form, error)
        return _settings_page(app_in_view(slug), access_form=form), 409
    flash("Who may see the install page is changed.")
    return _to_settings(slug)


def _to_settings(slug: str) -> ResponseReturnValue:
    return redirect(url_for("admin_apps.settings", slug=slug), 303)


def _rename(slug: str, form: RenameForm) -> None:
    revision = seen_revision(form) or 0
    with transaction() as session:
        app = apps.find(session, slug)
        apps.rename(session, actor(), app, name=form.name.data, revision=revision, now=utcnow())


def _set_install_access(slug: str, form: InstallAccessForm) -> None:
    access, revision = InstallAccess(form.install_access.data), seen_revision(form) or 0
    with transaction() as session:
        app = apps.find(session, slug)
        apps.set_install_access(session, actor(), app, access, revision=revision, now=utcnow())


def _settings_page(
    app: App, form: RenameForm | None = None, access_form: InstallAccessForm | None = None
) -> str:
    return render_page(
        "apps/app_settings.html",
        app=app,
        confirm=ConfirmForm(),
        form=form or RenameForm(formdata=None, name=app.name, revision=app.revision),
        access_form=access_form
        or InstallAccessForm(formdata=None, install_access=app.install_access, revision=app.revision),
    )
