"""The pages for people, one module per noun."""

from ota.web.admin import (
    account,
    activity,
    apps,
    channels,
    explain,
    groups,
    kill_switch,
    people,
    publishing,
    shares,
    tokens,
    trust,
    uploads,
    versions,
)

BLUEPRINTS = (
    account.blueprint,
    apps.blueprint,
    versions.blueprint,
    publishing.blueprint,
    uploads.blueprint,
    shares.blueprint,
    people.blueprint,
    tokens.blueprint,
    activity.blueprint,
    trust.blueprint,
    channels.blueprint,
    groups.blueprint,
    kill_switch.blueprint,
    explain.blueprint,
)
