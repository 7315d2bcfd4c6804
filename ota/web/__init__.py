"""The doors for HTTP: what surrounds requests, and all blueprints."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from ota.config import Settings
from ota.web import access, errors, journal, limits, openapi, security, templating
from ota.web.alerts import api as alerts_api
from ota.web.alerts import pages as alerts_pages
from ota.web.alerts import recipient_api
from ota.web.approvals import api as approvals_api
from ota.web.approvals import pages as approvals_pages
from ota.web.apps import channel_api, channel_pages, kill_switch_pages, trust_pages
from ota.web.apps import pages as apps_pages
from ota.web.builds import (
    changelog_api,
    downloads,
    icons,
    receive,
    upload_api,
    upload_pages,
    version_api,
    version_pages,
)
from ota.web.devices import api as devices_api
from ota.web.devices import group_api, group_pages
from ota.web.devices import pages as devices_pages
from ota.web.experiments import api as experiments_api
from ota.web.experiments import pages as experiments_pages
from ota.web.fleet import api as fleet_api
from ota.web.fleet import pages as fleet_pages
from ota.web.health import api as health_api
from ota.web.health import pages as health_pages
from ota.web.history import pages as history_pages
from ota.web.installing import api as installing_api
from ota.web.installing import pages as installing_pages
from ota.web.installing import share_pages
from ota.web.people import account_pages, token_pages
from ota.web.people import pages as people_pages
from ota.web.releases import act_pages, publish_pages, terms_api
from ota.web.releases import api as releases_api
from ota.web.releases import pages as releases_pages
from ota.web.system import api as system_api
from ota.web.telemetry import api as telemetry_api
from ota.web.updates import api as updates_api
from ota.web.updates import explain_api, explain_pages, front, hot_path

_API = (
    updates_api.blueprint,
    changelog_api.blueprint,
    telemetry_api.blueprint,
    explain_api.blueprint,
    releases_api.blueprint,
    terms_api.blueprint,
    experiments_api.blueprint,
    approvals_api.blueprint,
    version_api.blueprint,
    upload_api.blueprint,
    installing_api.blueprint,
    channel_api.blueprint,
    group_api.blueprint,
    devices_api.blueprint,
    fleet_api.blueprint,
    health_api.blueprint,
    recipient_api.blueprint,
    alerts_api.blueprint,
    downloads.blueprint,
    installing_pages.blueprint,
    icons.blueprint,
    system_api.blueprint,
    openapi.blueprint,
)
_PAGES = (
    account_pages.blueprint,
    apps_pages.blueprint,
    version_pages.blueprint,
    publish_pages.blueprint,
    releases_pages.blueprint,
    act_pages.blueprint,
    approvals_pages.blueprint,
    experiments_pages.blueprint,
    upload_pages.blueprint,
    share_pages.blueprint,
    people_pages.blueprint,
    token_pages.blueprint,
    history_pages.blueprint,
    alerts_pages.blueprint,
    trust_pages.blueprint,
    channel_pages.blueprint,
    group_pages.blueprint,
    kill_switch_pages.blueprint,
    explain_pages.blueprint,
    health_pages.blueprint,
    devices_pages.blueprint,
    fleet_pages.blueprint,
)


def init_app(app: Flask, settings: Settings) -> None:
    """Register all routes and what surrounds them.

    Checks run in this order: size, caller, view.
    """
    app.config.update(
        SESSION_COOKIE_NAME="ota_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.public_url.startswith("https://"),
        PERMANENT_SESSION_LIFETIME=timedelta(days=14),
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(days=365),
    )
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    receive.init_app(app)
    limits.init_app(app, settings)
    access.init_app(app)
    errors.init_app(app)
    security.init_app(app, settings)
    templating.init_app(app)
    journal.init_app(app, settings)
    hot_path.init_app(app, settings)
    front.init_app(app, settings)
    for blueprint in (*_API, *_PAGES):
        app.register_blueprint(blueprint)
