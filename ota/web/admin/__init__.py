"""The pages for people, one module per noun."""

from ota.web.admin import (
    alerts,
    approvals,
    apps,
    channels,
    devices,
    experiments,
    explain,
    fleet,
    groups,
    health_policy,
    kill_switch,
    publishing,
    release_acts,
    releases,
    shares,
    trust,
    uploads,
    versions,
)
from ota.web.history import pages as history_pages
from ota.web.people import account_pages, token_pages
from ota.web.people import pages as people_pages

BLUEPRINTS = (
    account_pages.blueprint,
    apps.blueprint,
    versions.blueprint,
    publishing.blueprint,
    releases.blueprint,
    release_acts.blueprint,
    approvals.blueprint,
    experiments.blueprint,
    uploads.blueprint,
    shares.blueprint,
    people_pages.blueprint,
    token_pages.blueprint,
    history_pages.blueprint,
    alerts.blueprint,
    trust.blueprint,
    channels.blueprint,
    groups.blueprint,
    kill_switch.blueprint,
    explain.blueprint,
    health_policy.blueprint,
    devices.blueprint,
    fleet.blueprint,
)
