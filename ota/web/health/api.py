"""Release health for programs: the findings about a release, and the policy of an app."""

from __future__ import annotations

from flask import Blueprint
from msgspec import UNSET

from ota.apps import apps
from ota.clock import utcnow
from ota.core.permissions import Access
from ota.db import reader, transaction
from ota.health import policy as health_policy
from ota.health.policy import Rules
from ota.releases import rows as release_rows
from ota.web.access import actor
from ota.web.health import views as health_views
from ota.web.health.shapes import PolicyAnswer, PolicyRequest, ReleaseHealthAnswer
from ota.web.health.wording import meaning
from ota.web.operation import MANAGING, Operation, operation

blueprint = Blueprint("manage_health", __name__)


@blueprint.get("/api/releases/<int:release_id>/health")
@operation(
    Operation(access=Access.VIEW, summary="Show release health", tag=MANAGING, answer=ReleaseHealthAnswer)
)
def show(release_id: int) -> ReleaseHealthAnswer:
    """Devices of a release by stage, its failures, and what the health tests have found so far."""
    found = health_views.of(reader(), release_rows.get(reader(), release_id))
    return ReleaseHealthAnswer(
        release_id=release_id,
        funnel=dict(found.funnel),
        test=health_views.health_view(found.row) if found.row else None,
        tests=[health_views.test_view(each) for each in found.row.tests] if found.row else [],
        failures=health_views.failure_views(found.failures),
        message=found.sentence,
    )


@blueprint.get("/api/apps/<slug>/health-policy")
@operation(Operation(access=Access.VIEW, summary="Show the health policy", tag=MANAGING, answer=PolicyAnswer))
def show_policy(slug: str) -> PolicyAnswer:
    """When a release of the app is bad, and what the server does then."""
    return _answer(health_policy.rules_of(reader(), apps.find(reader(), slug).id))


@blueprint.patch("/api/apps/<slug>/health-policy")
@operation(
    Operation(
        access=Access.ADMIN,
        summary="Change the health policy",
        tag=MANAGING,
        body=PolicyRequest,
        answer=PolicyAnswer,
    )
)
def change_policy(slug: str, body: PolicyRequest) -> PolicyAnswer:
    """Choose when a release is bad. Omitted fields stay.

    Running tests use the new policy at their next look.
    """
    given = {name: getattr(body, name) for name in body.__struct_fields__ if name != "revision"}
    changes = {name: value for name, value in given.items() if value is not UNSET}
    with transaction() as session:
        app = apps.find(session, slug)
        rules = health_policy.change(session, actor(), app, changes, revision=body.revision, now=utcnow())
    return _answer(rules)


def _answer(rules: Rules) -> PolicyAnswer:
    return PolicyAnswer(policy=health_views.policy_view(rules), message=meaning(rules.policy.alpha))
