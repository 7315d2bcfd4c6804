"""Explanations and previews as callers see them."""

from __future__ import annotations

from ota.core.decision import NoUpdate, Offer
from ota.core.explanation import ExplainLine
from ota.models import Device
from ota.releases.previews import Preview
from ota.updates.explaining import Explained
from ota.web.updates.explain_shapes import (
    CatalogView,
    DecisionView,
    ExplainAnswer,
    KnownDeviceView,
    PreviewAnswer,
    QueryView,
    StepView,
)
from ota.web.views import BLOCKED, MESSAGES, notes_for


def explain_answer(found: Explained, *, device_id: str | None, locale: str | None) -> ExplainAnswer:
    """Return the explanation as programs see it."""
    return ExplainAnswer(
        answer=found.explanation.answer,
        decision=_decision(found, locale),
        steps=[_step(line) for line in found.explanation.lines],
        query=_query(found, device_id),
        catalog=CatalogView(
            channels=list(found.followed), shut_off=list(found.closed), releases=found.releases
        ),
        device=_device(found.device) if found.device else None,
    )


def preview_answer(found: Preview) -> PreviewAnswer:
    """Return the preview as programs see it."""
    return PreviewAnswer(
        active=found.active,
        offered=found.offered,
        mandatory=found.mandatory,
        current=found.current,
        held_back=dict(found.held_back),
        is_simulated=found.is_simulated,
        is_sampled=found.is_sampled,
        message=preview_sentence(found),
    )


def preview_sentence(found: Preview) -> str:
    """Return the preview as a sentence."""
    if found.is_simulated:
        share = f"{100 * found.offered / found.active:.3g}" if found.active else "0"
        return (
            "No device of this app is known yet. "
            f"Of devices that run what was offered before, about {share} % would get it now."
        )
    devices = "active device" if found.active == 1 else "active devices"
    return f"Of your {found.active:,} {devices}, about {found.offered:,} would get it now."


def _decision(found: Explained, locale: str | None) -> DecisionView:
    decision, version = found.explanation.decision, found.version
    blocked = isinstance(decision, NoUpdate) and decision.is_blocked
    return DecisionView(
        update_available=isinstance(decision, Offer),
        reason=decision.reason,
        version=version.version if version else None,
        version_code=version.version_code if version else None,
        channel=decision.candidate.channel if isinstance(decision, Offer) else None,
        release_notes=notes_for(version, locale) if version else None,
        is_mandatory=isinstance(decision, Offer) and decision.is_mandatory,
        blocked=blocked,
        current_version_withdrawn=found.is_withdrawn,
        message=BLOCKED if blocked else MESSAGES[decision.reason],
    )


def _step(line: ExplainLine) -> StepView:
    about = line.candidate
    return StepView(
        rule=line.rule,
        outcome=line.outcome,
        text=line.text,
        release_id=about.release_id if about else None,
        version=about.version if about else None,
        version_code=about.version_code if about else None,
        channel=about.channel if about else None,
    )


def _query(found: Explained, device_id: str | None) -> QueryView:
    query = found.query
    return QueryView(
        app=found.app.slug,
        platform=found.platform,
        channel=found.channel.name,
        device_id=device_id,
        current_version=query.current.text,
        user_initiated=query.user_initiated,
        sdk=query.sdk,
        os=".".join(map(str, query.os)) if query.os else None,
        abis=sorted(query.abis),
        groups=list(found.groups),
        remembered=list(found.remembered),
    )


def _device(device: Device) -> KnownDeviceView:
    return KnownDeviceView(
        app_version=device.app_version,
        sdk=device.sdk,
        os_version=device.os_version,
        abis=device.abis.split(",") if device.abis else [],
        first_seen_at=device.first_seen_at,
        last_seen_at=device.last_seen_at,
    )
