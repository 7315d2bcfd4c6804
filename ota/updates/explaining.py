"""Explain why a device gets its answer.

The question is completed with what is known of the device, and answered from the same catalog and by the same
rules as a check. `ota.core.explanation.explain` lists the rules with their outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota import catalogs
from ota.apps import apps
from ota.core.channels import followed
from ota.core.decision import Decision, Offer, UpdateQuery
from ota.core.explanation import Explanation, explain
from ota.core.platforms import Platform, abi_names, os_numbers
from ota.errors import Invalid
from ota.models import App, Channel, Device, DeviceGroup, DeviceGroupMember, Version
from ota.updates import answers as update_answers

_NO_VERSION = (
    "current_version: nothing is known of this device yet, so say what it runs, for example 1.4.0+27."
)
_NO_VERSION_OR_DEVICE = (
    "current_version: say what the device runs, for example 1.4.0+27, "
    "or the id of a device that has asked before."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """A question about a device. Omitted fields are taken from its latest check.

    ``os_version`` is a text such as ``17.2``, ``sdk`` an Android API level.
    """

    platform: str
    current_version: str | None = None
    device_id: str | None = None
    app: str | None = None
    channel: str | None = None
    user_initiated: bool = False
    sdk: int | None = None
    os_version: str | None = None
    abis: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """An explanation, with the facts that it is based on.

    ``version`` is the offered one. ``device`` is None for an unknown device; ``remembered`` names the fields
    that were taken from it. ``followed`` are the channels whose releases were considered, ``closed`` those
    left out because they are shut off. ``releases`` is the number of live releases.
    """

    explanation: Explanation
    query: UpdateQuery
    app: App
    channel: Channel
    platform: Platform
    version: Version | None
    device: Device | None
    remembered: tuple[str, ...]
    groups: tuple[str, ...]
    followed: tuple[str, ...]
    closed: tuple[str, ...]
    releases: int
    is_withdrawn: bool


def explain_answer(
    session: Session, inquiry: Inquiry, *, device_hash: str | None, now: datetime
) -> Explained:
    """Explain the answer to this question. ``device_hash`` comes from `devices.hashed`, None without a device
    id.

    Raises `Invalid` or `NotFound`, with the ``field``, for a question that can't be answered.
    """
    platform = apps.find_platform(inquiry.platform)
    app = apps.find(session, inquiry.app)
    channel = apps.find_channel(app, inquiry.channel)
    device = _find_device(session, app, platform, device_hash)
    groups = _group_names(session, app, device_hash)
    completed, remembered = _completed(inquiry, device)
    query = _query(completed, groups)
    catalog = catalogs.load(session, channel.id, platform)
    explanation = explain(query, catalog, now, groups)
    considered, closed = _channels(session, app, channel)
    return Explained(
        explanation=explanation,
        query=query,
        app=app,
        channel=channel,
        platform=platform,
        version=_offered_version(session, explanation.decision),
        device=device,
        remembered=remembered,
        groups=tuple(sorted(groups.values())),
        followed=considered,
        closed=closed,
        releases=len(catalog.candidates),
        is_withdrawn=catalog.has_withdrawn(query.current),
    )


def _find_device(session: Session, app: App, platform: Platform, device_hash: str | None) -> Device | None:
    if device_hash is None:
        return None
    return session.scalar(
        select(Device).where(
            Device.app_id == app.id, Device.platform == platform, Device.device_hash == device_hash
        )
    )


def _group_names(session: Session, app: App, device_hash: str | None) -> Mapping[int, str]:
    """The names of the app's groups that the device is in, by their ids."""
    if device_hash is None:
        return {}
    query = select(DeviceGroup.id, DeviceGroup.name).join(
        DeviceGroupMember, DeviceGroupMember.group_id == DeviceGroup.id
    )
    found = session.execute(
        query.where(DeviceGroup.app_id == app.id, DeviceGroupMember.device_hash == device_hash)
    )
    return {row.id: row.name for row in found}


def _completed(inquiry: Inquiry, device: Device | None) -> tuple[Inquiry, tuple[str, ...]]:
    """The question with its omitted fields taken from the device, and the names of those fields."""
    if device is None:
        return inquiry, ()
    known: dict[str, Any] = {
        "current_version": device.app_version,
        "sdk": device.sdk,
        "os_version": device.os_version,
        "abis": tuple(abi_names(device.abis)),
    }
    taken = {name: value for name, value in known.items() if value and not getattr(inquiry, name)}
    return replace(inquiry, **taken), tuple(taken)


def _query(inquiry: Inquiry, groups: Mapping[int, str]) -> UpdateQuery:
    device_id = inquiry.device_id or None
    update_answers.check_device_id(device_id)
    text = inquiry.current_version or ""
    if not text.strip():
        message = _NO_VERSION if device_id else _NO_VERSION_OR_DEVICE
        raise Invalid("missing_current_version", message, field="current_version")
    return UpdateQuery(
        update_answers.parsed_version(text),
        device_id,
        inquiry.user_initiated,
        frozenset(groups),
        inquiry.sdk,
        os_numbers(inquiry.os_version) if inquiry.os_version else None,
        frozenset(inquiry.abis),
    )


def _offered_version(session: Session, decision: Decision) -> Version | None:
    if not isinstance(decision, Offer):
        return None
    return session.get_one(Version, decision.candidate.version_id)


def _channels(session: Session, app: App, channel: Channel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the considered channels, and of those left out because they are shut off."""
    names = {each.id: each.name for each in app.channels}
    fallbacks = catalogs.fallbacks(session, app.id)
    off = [each.id for each in app.channels if each.is_shut_off]
    considered = followed(channel.id, fallbacks, off)
    closed = [each for each in followed(channel.id, fallbacks) if each in off]
    return tuple(names[each] for each in considered), tuple(names[each] for each in closed)
