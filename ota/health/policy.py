"""Watching releases: is one worse than it may be, and what is done about it without waiting for a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ota.core.health_tests import Policy
from ota.core.lifecycle import HealthAction
from ota.db import compare_and_set
from ota.errors import Invalid, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, HealthPolicy
from ota.telemetry.hourly_counts import insert


@dataclass(frozen=True, slots=True)
class Rules:
    """An app's policy with what is done when a release is bad, and what a plan waits for."""

    policy: Policy
    action: HealthAction = HealthAction.HALT
    min_reports: int = 0
    revision: int = 0
    """0: the app has chosen nothing, these are the defaults."""


def rules_of(session: Session, app_id: int) -> Rules:
    """What holds for the app."""
    row = session.get(HealthPolicy, app_id)
    if row is None:
        return Rules(Policy())
    policy = Policy(
        alpha=row.alpha,
        tolerated_ratio=row.tolerated_ratio,
        window=timedelta(hours=row.window_hours),
        min_failing_devices=row.min_failing_devices,
        acceptable_rate=row.acceptable_rate,
        silence=timedelta(hours=row.silence_hours),
    )
    return Rules(policy, HealthAction(row.action), row.min_reports, row.revision)


def set_rules(
    session: Session, actor: Actor, app: App, wanted: Rules, *, revision: int | None = None, now: datetime
) -> Rules:
    """Choose the app's policy. Raises `Invalid` for windows that are no whole hours, `Conflict` when somebody was faster."""
    if (wanted.policy.window % timedelta(hours=1), wanted.policy.silence % timedelta(hours=1)) != (
        timedelta(0),
        timedelta(0),
    ):
        raise Invalid("bad_policy", "The window and the silence are whole hours.")
    if not 0 <= wanted.min_reports <= 1_000_000:
        raise Invalid("bad_policy", f"min_reports is {wanted.min_reports}: expected 0 to 1000000 devices.")
    before = rules_of(session, app.id)
    seen = before.revision if revision is None else revision
    values = {**_plain(wanted), "revision": seen + 1}
    if seen == 0:
        made = (
            insert(session, HealthPolicy)
            .values(app_id=app.id, **values)
            .on_conflict_do_nothing()
            .returning(HealthPolicy.app_id)
        )
        is_written = session.scalar(made) is not None
    else:
        is_written = compare_and_set(session, HealthPolicy, {"app_id": app.id}, {"revision": seen}, values)
    if not is_written:
        current = rules_of(session, app.id)
        raise Stale(
            "Somebody else changed the health policy meanwhile. Look at it, then decide again.",
            current={**_plain(current), "revision": current.revision},
        )
    was, becomes = _plain(before), _plain(wanted)
    changed = {name for name in becomes if becomes[name] != was[name]}
    audit.record(
        session,
        actor,
        "app.health_policy",
        ("app", app.id),
        now=now,
        app_id=app.id,
        before={name: was[name] for name in sorted(changed)},
        after={name: becomes[name] for name in sorted(changed)},
    )
    session.expire_all()
    return rules_of(session, app.id)


def _plain(rules: Rules) -> dict[str, Any]:
    policy = rules.policy
    return {
        "action": rules.action.value,
        "alpha": policy.alpha,
        "tolerated_ratio": policy.tolerated_ratio,
        "window_hours": int(policy.window / timedelta(hours=1)),
        "min_failing_devices": policy.min_failing_devices,
        "acceptable_rate": policy.acceptable_rate,
        "min_reports": rules.min_reports,
        "silence_hours": int(policy.silence / timedelta(hours=1)),
    }
