"""Release health by program: how a release goes, and when one counts as bad."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from flask import Blueprint
from msgspec import UNSET

from ota.apps import apps
from ota.clock import utcnow
from ota.core.health_tests import Policy
from ota.core.lifecycle import HealthTest
from ota.core.permissions import Access
from ota.core.statistics import Share
from ota.db import reader, transaction
from ota.errors import Invalid
from ota.fleet import figures
from ota.health import policy as health_policy
from ota.health.evaluate import Told
from ota.health.policy import Rules
from ota.models import ReleaseHealth
from ota.releases import rows as release_rows
from ota.web.access import actor
from ota.web.health import views as health_views
from ota.web.health.shapes import (
    HealthPoint,
    HealthTestView,
    HealthView,
    PolicyAnswer,
    PolicyRequest,
    PolicyView,
    ReleaseHealthAnswer,
    ShareView,
)
from ota.web.operation import MANAGING, Operation, operation

blueprint = Blueprint("manage_health", __name__)

_POLICY = ("alpha", "tolerated_ratio", "min_failing_devices", "acceptable_rate")


@blueprint.get("/api/releases/<int:release_id>/health")
@operation(
    Operation(access=Access.VIEW, summary="Show release health", tag=MANAGING, answer=ReleaseHealthAnswer)
)
def show(release_id: int) -> ReleaseHealthAnswer:
    """How far devices came with a release, what failed, and what the health test has found so far."""
    found = health_views.of(reader(), release_rows.get(reader(), release_id))
    return ReleaseHealthAnswer(
        release_id=release_id,
        funnel=dict(found.funnel),
        test=_health(found.row) if found.row else None,
        tests=[_test(each) for each in found.row.tests] if found.row else [],
        failures=health_views.failure_views(found.failures),
        message=found.sentence,
    )


@blueprint.get("/api/apps/<slug>/health-policy")
@operation(Operation(access=Access.VIEW, summary="Show the health policy", tag=MANAGING, answer=PolicyAnswer))
def show_policy(slug: str) -> PolicyAnswer:
    """When a release of the app counts as bad, and what is done then."""
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
    """Choose when a release counts as bad. What is left out stays; tests that run go on with what holds at each look."""
    with transaction() as session:
        app = apps.find(session, slug)
        wanted = changed(
            health_policy.rules_of(session, app.id),
            {name: getattr(body, name) for name in body.__struct_fields__},
        )
        rules = health_policy.set_rules(session, actor(), app, wanted, revision=body.revision, now=utcnow())
    return _answer(rules)


def changed(rules: Rules, values: dict[str, Any]) -> Rules:
    """The rules with what is given in other words; UNSET stays. Raises `Invalid` for what can't be meant."""
    given = {name: value for name, value in values.items() if value is not UNSET}
    of_policy = {name: given[name] for name in _POLICY if name in given}
    for name in ("window", "silence"):
        if f"{name}_hours" in given:
            of_policy[name] = timedelta(hours=given[f"{name}_hours"])
    try:
        policy: Policy = replace(rules.policy, **of_policy)
    except ValueError as error:
        raise Invalid("bad_policy", f"{error}.") from error
    return replace(
        rules, policy=policy, **{name: given[name] for name in ("action", "min_reports") if name in given}
    )


def meaning(alpha: float) -> str:
    """What an alpha is in a year."""
    return f"Of 100 good releases a year at most {100 * alpha:.3g} are called bad by chance, however often they are looked at."


def _answer(rules: Rules) -> PolicyAnswer:
    policy = rules.policy
    view = PolicyView(
        action=rules.action,
        alpha=policy.alpha,
        tolerated_ratio=policy.tolerated_ratio,
        window_hours=int(policy.window / timedelta(hours=1)),
        min_failing_devices=policy.min_failing_devices,
        acceptable_rate=policy.acceptable_rate,
        min_reports=rules.min_reports,
        silence_hours=int(policy.silence / timedelta(hours=1)),
        revision=rules.revision,
    )
    return PolicyAnswer(policy=view, message=meaning(policy.alpha))


def _health(row: ReleaseHealth) -> HealthView:
    first = next(each for each in row.tests if each["test"] == row.test) if row.tests else None
    return HealthView(
        since=row.since,
        evaluated_at=row.evaluated_at,
        is_bad=row.is_bad,
        has_control=row.test != HealthTest.ALONE,
        enrolled=row.enrolled,
        reported=row.reported,
        **msgspec.structs.asdict(_test(first or _nothing_yet(row))),
    )


def _nothing_yet(row: ReleaseHealth) -> Told:
    """A new test that has not looked yet."""
    return Told(
        test=row.test,
        evidence=1.0,
        peak=1.0,
        threshold=row.threshold,
        rollout=0,
        control=0,
        failing_rollout=0,
        failing_control=0,
        curve=[],
    )


def _test(told: Told) -> HealthTestView:
    rollout, control = figures.rates_of(told)
    curve = [
        HealthPoint(
            at=datetime.fromtimestamp(at, UTC),
            rollout=int(rollout),
            control=int(control),
            failing_rollout=int(failing),
            failing_control=int(beside),
            evidence=evidence,
        )
        for at, rollout, control, failing, beside, evidence in told["curve"]
    ]
    return HealthTestView(
        test=HealthTest(told["test"]),
        evidence=told["evidence"],
        peak=told["peak"],
        threshold=told["threshold"],
        rollout=_share(rollout),
        control=_share(control),
        curve=curve,
    )


def _share(found: Share | None) -> ShareView | None:
    return found and ShareView.of(found)
