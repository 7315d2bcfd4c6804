"""The pages for people, one module per noun."""

from ota.web.alerts import pages as alerts_pages
from ota.web.approvals import pages as approvals_pages
from ota.web.apps import channel_pages, kill_switch_pages, trust_pages
from ota.web.apps import pages as apps_pages
from ota.web.builds import upload_pages, version_pages
from ota.web.devices import group_pages
from ota.web.devices import pages as devices_pages
from ota.web.experiments import pages as experiments_pages
from ota.web.fleet import pages as fleet_pages
from ota.web.health import pages as health_pages
from ota.web.history import pages as history_pages
from ota.web.installing import share_pages
from ota.web.people import account_pages, token_pages
from ota.web.people import pages as people_pages
from ota.web.releases import act_pages, publish_pages
from ota.web.releases import pages as releases_pages
from ota.web.updates import explain_pages

BLUEPRINTS = (
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
