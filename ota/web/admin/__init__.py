"""The pages for people, one module per noun."""

from ota.web.admin import account, activity, apps, people, publishing, tokens, trust, uploads, versions

BLUEPRINTS = (
    account.blueprint,
    apps.blueprint,
    versions.blueprint,
    publishing.blueprint,
    uploads.blueprint,
    people.blueprint,
    tokens.blueprint,
    activity.blueprint,
    trust.blueprint,
)
