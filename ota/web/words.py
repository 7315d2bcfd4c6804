"""Words on pages: acts of the history, preflight checks, plans, lengths of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ota.core.lifecycle import ReleaseState
from ota.core.platforms import android_release
from ota.models import AuditEvent
from ota.releases.rows import state_text

ACTIONS = {
    "app.created": "created the app",
    "app.install_access_changed": "changed who may install",
    "app.keeping_changed": "changed what is kept of single devices",
    "app.made_default": "made it the default app",
    "app.package_pinned": "pinned the package id",
    "app.renamed": "renamed the app",
    "app.shut_off": "shut the app off",
    "app.signer_forgotten": "forgot the signer",
    "app.signer_pinned": "pinned the signer",
    "app.trust_changed": "changed what may be published",
    "app.turned_on": "turned the app on again",
    "channel.created": "made the channel",
    "channel.deleted": "deleted the channel",
    "channel.edited": "changed the channel",
    "channel.shut_off": "shut the channel off",
    "channel.turned_on": "turned the channel on again",
    "experiment.ended": "ended the experiment",
    "experiment.started": "started the experiment",
    "device.forgotten": "forgot a device",
    "group.created": "made the device group",
    "group.deleted": "deleted the device group",
    "group.devices_added": "put devices into the group",
    "group.devices_removed": "took devices out of the group",
    "group.renamed": "renamed the device group",
    "proposal.approved": "approved the proposal",
    "proposal.declined": "declined the proposal",
    "proposal.proposed": "asked for approval",
    "proposal.taken_back": "took the proposal back",
    "recipient.added": "added a recipient of e-mail",
    "recipient.removed": "removed a recipient of e-mail",
    "release.concluded": "ended the arm of the experiment",
    "release.edited": "changed the terms of the release",
    "release.halted": "halted the release",
    "release.found_bad": "found the release bad",
    "app.health_policy": "changed the health policy",
    "release.paused": "paused the release",
    "release.plan_step": "took the next step of the plan",
    "release.resumed": "resumed the release",
    "release.test_anew": "began a new test of the release's health",
    "release.rolled_back": "rolled the release back",
    "release.rollout_changed": "changed the rollout",
    "release.started": "published",
    "release.withdrawn": "withdrew the release",
    "share.created": "made the share link",
    "share.revoked": "revoked the share link",
    "upload.ready": "upload became a version",
    "upload.received": "uploaded a file",
    "upload.rejected": "upload was rejected",
    "version.created": "created the version",
    "version.deleted": "deleted the version",
    "version.edited": "edited the version",
    "version.profile_expiring": "noticed a profile about to expire",
    "version.withdrawn": "withdrew the version",
    "webhook.created": "made a webhook",
    "webhook.deleted": "deleted a webhook",
    "webhook.edited": "changed a webhook",
}
"""Acts by their kind in the history."""

CHECKS = {
    "file": "File",
    "signature": "Signature",
    "signer": "Signer",
    "package_id": "Package id",
    "debuggable": "Debuggable",
    "version_code": "Version code",
    "min_sdk": "Minimum Android",
    "minimum_os": "Minimum iOS",
    "abis": "Processors",
    "profile": "Provisioning profile",
    "https": "Address",
}
"""Preflight checks by their stable names."""

HELD_BACK = {
    "not_in_rollout": "Outside the rollout",
    "paused": "Held by the pause",
    "halted": "Held by the halt",
    "shut_off": "Updates are switched off",
    "os_too_old": "System too old",
    "abi_unsupported": "Processor does not fit",
    "other_signer": "Signed by somebody else",
    "not_comparable": "Versions can't be compared",
    "newer_release": "Offered a newer release",
    "floor_first": "Offered a floor first",
}
"""Reasons for which a preview counts devices as held back."""

_LABELS = {
    "rollout": "open to",
    "starts_at": "starts",
    "critical_from": "mandatory on versions from",
    "critical_below": "mandatory on versions below",
    "is_floor": "floor",
    "channel": "on",
    "is_mandatory": "mandatory",
    "min_supported_version": "minimum supported",
    "version_code": "code",
    "approval_above": "needs approval above",
}
_LEFT_OUT = frozenset(
    {
        "revision",
        "plan_step",
        "next_step_at",
        "soak_left",
        "ended_at",
        "groups_before",
        "kind",
        "version_id",
        "versions",
    }
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One change of an act. ``before`` is None if the act created the value."""

    label: str
    before: str | None
    after: str


def span(minutes: int) -> str:
    """Return a length of time such as 24 h, 1 h 30 min, or 3 d."""
    if minutes >= 48 * 60 and minutes % (24 * 60) == 0:
        return f"{minutes // (24 * 60)} d"
    hours, rest = divmod(minutes, 60)
    return (
        " ".join(text for number, text in ((hours, f"{hours} h"), (rest, f"{rest} min")) if number) or "0 min"
    )


def ahead(seconds: float) -> str:
    """Return the time until a moment, in at most two units, such as 3 h 12 min or 2 d 4 h."""
    minutes = max(0, int(seconds // 60))
    if minutes < 1:
        return "less than a minute"
    days, rest = divmod(minutes, 24 * 60)
    if days >= 2:
        return f"{days} d {rest // 60} h" if rest >= 60 else f"{days} d"
    return span(minutes) if minutes < 48 * 60 else "2 d"


def plan_words(steps: Sequence[Mapping[str, Any]]) -> str:
    """Return a plan such as 10 %, after 24 h 50 %, after 24 h 100 %."""
    shown, wait = [], 0
    for number, step in enumerate(steps):
        shown.append(
            f"{step['rollout'] / 100:g} %"
            if number == 0
            else f"after {span(wait)} {step['rollout'] / 100:g} %"
        )
        wait = step["soak_minutes"]
    return ", ".join(shown)


def facts_of(event: AuditEvent) -> list[Fact]:
    """Return the changes of an act in words, with the values before and after."""
    before, after = event.before or {}, event.after or {}
    if "groups_before" in after:
        before = {**before, "groups": after["groups_before"]}
    names = [*after, *(name for name in before if name not in after)]
    return [
        Fact(
            _LABELS.get(name, name.replace("_", " ")),
            _shown(name, before[name]) if name in before else None,
            _shown(name, after.get(name)),
        )
        for name in names
        if name not in _LEFT_OUT and (after.get(name) is not None or name in before)
    ]


def state_words(state: str, rollout: int) -> str:
    """Return a release's state and rollout in words, such as ``live, open to 10 %``."""
    return f"{'live' if state == ReleaseState.ACTIVE else state_text(state)}, open to {rollout / 100:g} %"


def _shown(name: str, value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in {"rollout", "approval_above"} and isinstance(value, int):
        return f"{value / 100:g} %"
    if name == "plan" and isinstance(value, list):
        return plan_words(value)
    if name == "arms" and isinstance(value, dict):
        return ", ".join(f"{version} {weight / 100:g} %" for version, weight in value.items())
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_shown(name, part)}" for key, part in value.items())
    if name in {"starts_at", "mandatory_from"}:
        return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M} UTC"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value in set(ReleaseState):
        return "live" if value == ReleaseState.ACTIVE else state_text(value)
    return str(value)


def action(name: str) -> str:
    """Return an act's kind in words."""
    return ACTIONS.get(name, name.replace(".", " ").replace("_", " "))


def check_name(name: str) -> str:
    """Return a preflight check's name for people."""
    return CHECKS[name]


def held_back(reason: str) -> str:
    """Return the reason in words for which a device is held back."""
    return HELD_BACK.get(reason, reason.replace("_", " ").capitalize())


def android(sdk: int | None) -> str:
    """Return the Android release of an API level."""
    return android_release(sdk) if sdk else "any Android"


def size_change(after: int | None, before: int | None) -> str:
    """Return the change of a size such as ``+12.5 %``, or nothing if it is unknown."""
    if not after or not before or after == before:
        return ""
    if after > 10 * before:
        return f"{after / before:,.0f} times as large"
    return f"{(after - before) / before * 100:+.1f} %".replace("-", "\N{MINUS SIGN}")


def capitalize_first(text: str) -> str:
    """Return the text with its first letter in upper case, and the rest unchanged."""
    return text[:1].upper() + text[1:]


def approval(above: int | None) -> str:
    """Return a channel's two-person rule as a sentence."""
    if above is None:
        return "One person is enough to publish."
    return (
        f"Releases above {above / 100:g} % need a second person."
        if above
        else "Every release needs a second person."
    )


FILTERS = {
    "approval": approval,
    "check_name": check_name,
    "held_back": held_back,
    "android_release": android,
    "size_change": size_change,
    "capitalize_first": capitalize_first,
    "action": action,
    "span": span,
    "plan_words": plan_words,
    "facts_of": facts_of,
}
"""Filters of templates."""
