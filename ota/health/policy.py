"""An app's health policy: when a release is bad, what the server does about it, and what a plan waits for.

`ota.releases.watch` acts on it; the tests that find a bad release are in `ota.health.evaluate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ota.core.health_votes import Policy
from ota.core.lifecycle import HealthAction
from ota.db import compare_and_set
from ota.errors import Invalid, Stale
from ota.history import audit
from ota.history.audit import Actor
from ota.models import App, HealthPolicy
from ota.telemetry.hourly_counts import insert

WATCHED_FOR = timedelta(days=30)
"""Time after its start for which a release that is open to all devices is watched."""

_MAX_REPORTS = 1_000_000
_HOUR = timedelta(hours=1)
_PLAIN = ("alpha", "tolerated_ratio", "min_failing_devices", "acceptable_rate")
"""Fields of `Policy` that are stored unchanged."""

_IN_HOURS = ("window", "silence")
"""Fields of `Policy` that are stored as whole hours, in ``<field>_hours``."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The tests' policy, the action on a bad release, and the number of devices whose reports a plan waits
    for.

    Revision 0: the app has no policy of its own, these are the defaults.
    """

    policy: Policy
    action: HealthAction = HealthAction.HALT
    min_reports: int = 0
    revision: int = 0


def rules_of(session: Session, app_id: int) -> Rules:
    """Return the app's rules, or the defaults."""
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


def values_of(rules: Rules) -> dict[str, Any]:
    """Return the rules as they are stored, without the revision. Times are whole hours."""
    policy = rules.policy
    return {
        "action": rules.action.value,
        "alpha": policy.alpha,
        "tolerated_ratio": policy.tolerated_ratio,
        "window_hours": int(policy.window / _HOUR),
        "min_failing_devices": policy.min_failing_devices,
        "acceptable_rate": policy.acceptable_rate,
        "min_reports": rules.min_reports,
        "silence_hours": int(policy.silence / _HOUR),
    }


def change(
    session: Session,
    actor: Actor,
    app: App,
    changes: Mapping[str, Any],
    *,
    revision: int | None = None,
    now: datetime,
) -> Rules:
    """Change some of the app's rules, named as in `values_of`. Raises as `set_rules` does."""
    wanted = _with_changes(rules_of(session, app.id), changes)
    return set_rules(session, actor, app, wanted, revision=revision, now=now)


def set_rules(
    session: Session, actor: Actor, app: App, wanted: Rules, *, revision: int | None = None, now: datetime
) -> Rules:
    """Replace the app's rules.

    Raises `Invalid` for values that are not allowed, `Stale` for an old revision.
    """
    _check(wanted)
    before = rules_of(session, app.id)
    _write(session, app, wanted, seen=before.revision if revision is None else revision)
    was, becomes = values_of(before), values_of(wanted)
    changed = sorted(name for name in becomes if becomes[name] != was[name])
    audit.record(
        session,
        actor,
        "app.health_policy",
        ("app", app.id),
        now=now,
        app_id=app.id,
        before={name: was[name] for name in changed},
        after={name: becomes[name] for name in changed},
    )
    return rules_of(session, app.id)


def _with_changes(rules: Rules, changes: Mapping[str, Any]) -> Rules:
    of_policy = {name: changes[name] for name in _PLAIN if name in changes}
    for name in _IN_HOURS:
        if f"{name}_hours" in changes:
            of_policy[name] = timedelta(hours=changes[f"{name}_hours"])
    try:
        policy: Policy = replace(rules.policy, **of_policy)
    except ValueError as error:
        raise Invalid("bad_policy", f"{error}.") from error
    others = {name: changes[name] for name in ("action", "min_reports") if name in changes}
    return replace(rules, policy=policy, **others)


def _check(wanted: Rules) -> None:
    if wanted.policy.window % _HOUR or wanted.policy.silence % _HOUR:
        raise Invalid("bad_policy", "The window and the silence are whole hours.")
    if not 0 <= wanted.min_reports <= _MAX_REPORTS:
        raise Invalid(
            "bad_policy", f"min_reports is {wanted.min_reports}: expected 0 to {_MAX_REPORTS} devices."
        )


def _write(session: Session, app: App, wanted: Rules, *, seen: int) -> None:
    """Write the rules if the stored revision is ``seen``. Raises `Stale` if it is not."""
    values = {**values_of(wanted), "revision": seen + 1}
    if seen == 0:
        made = insert(session, HealthPolicy).values(app_id=app.id, **values).on_conflict_do_nothing()
        is_written = session.scalar(made.returning(HealthPolicy.app_id)) is not None
    else:
        is_written = compare_and_set(session, HealthPolicy, {"app_id": app.id}, {"revision": seen}, values)
    if not is_written:
        current = rules_of(session, app.id)
        raise Stale(
            "Somebody else changed the health policy meanwhile. Look at it, then decide again.",
            current={**values_of(current), "revision": current.revision},
        )
