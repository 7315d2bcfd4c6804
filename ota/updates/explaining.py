"""Why a device gets its answer: the question is put together from what is known, and answered by what answers devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota import catalogs
from ota.apps import apps
from ota.core.channels import followed
from ota.core.decision import Offer, UpdateQuery
from ota.core.explanation import Explanation, explain
from ota.core.platforms import Platform, abi_names, os_numbers
from ota.core.versions import parse_current_version
from ota.devices.devices import MAX_DEVICE_ID
from ota.errors import Invalid
from ota.models import App, Channel, Device, DeviceGroup, DeviceGroupMember, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What is asked about a device, as it came in. What is left out is taken from what the device last said of itself.

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
    """The explanation with what it rests on.

    ``version`` is the offered one. ``device`` is what the device last said of itself, None for one that is not known; ``remembered``
    names what of it was used. ``followed`` are the channels that were looked at, ``closed`` those that would be but are shut off.
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
    """Why a device that asks so is answered as it is. ``device_hash`` from `devices.hashed`, None without a device id.

    Raises `Invalid` or `NotFound` with the ``field`` for what can't be answered.
    """
    platform = apps.find_platform(inquiry.platform)
    app = apps.find(session, inquiry.app)
    channel = apps.find_channel(app, inquiry.channel)
    device = find_device(session, app, platform, device_hash)
    groups = groups_of(session, app, device_hash)
    query, remembered = _query(inquiry, device, groups)
    catalog = catalogs.load(session, channel.id, platform)
    explanation = explain(query, catalog, now, groups)
    decision = explanation.decision
    looked_at, closed = _channels(session, app, channel)
    return Explained(
        explanation=explanation,
        query=query,
        app=app,
        channel=channel,
        platform=platform,
        version=session.get_one(Version, decision.candidate.version_id)
        if isinstance(decision, Offer)
        else None,
        device=device,
        remembered=remembered,
        groups=tuple(sorted(groups.values())),
        followed=looked_at,
        closed=closed,
        releases=len(catalog.candidates),
        is_withdrawn=catalog.has_withdrawn(query.current),
    )


def find_device(session: Session, app: App, platform: Platform, device_hash: str | None) -> Device | None:
    """What is known of the device."""
    if device_hash is None:
        return None
    return session.scalar(
        select(Device).where(
            Device.app_id == app.id, Device.platform == platform, Device.device_hash == device_hash
        )
    )


def groups_of(session: Session, app: App, device_hash: str | None) -> Mapping[int, str]:
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


def _query(
    inquiry: Inquiry, device: Device | None, groups: Mapping[int, str]
) -> tuple[UpdateQuery, tuple[str, ...]]:
    device_id = inquiry.device_id or None
    if device_id is not None and len(device_id) > MAX_DEVICE_ID:
        raise Invalid.about("device_id", "bad_device_id", f"expected at most {MAX_DEVICE_ID} characters.")
    text, sdk, os_version, abis = (
        inquiry.current_version or "",
        inquiry.sdk,
        inquiry.os_version,
        frozenset(inquiry.abis),
    )
    remembered: list[str] = []
    if device is not None:
        for name, is_said, is_known in (
            ("current_version", text, device.app_version),
            ("sdk", sdk, device.sdk),
            ("os_version", os_version, device.os_version),
            ("abis", abis, device.abis),
        ):
            if not is_said and is_known:
                remembered.append(name)
        text, sdk, os_version = text or device.app_version, sdk or device.sdk, os_version or device.os_version
        abis = abis or abi_names(device.abis)
    if not text.strip():
        raise Invalid(
            "missing_current_version", _MISSING if device_id else _MISSING_BOTH, field="current_version"
        )
    try:
        current = parse_current_version(text)
    except ValueError as error:
        raise Invalid.about("current_version", "bad_current_version", f"{error}") from error
    os = os_numbers(os_version) if os_version else None
    return UpdateQuery(current, device_id, inquiry.user_initiated, frozenset(groups), sdk, os, abis), tuple(
        remembered
    )


def _channels(session: Session, app: App, channel: Channel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the channels that are looked at, and of those that would be if they were not shut off."""
    names = {each.id: each.name for each in app.channels}
    fallbacks = catalogs.fallbacks(session, app.id)
    off = [each.id for each in app.channels if each.is_shut_off]
    looked_at: Sequence[int] = followed(channel.id, fallbacks, off)
    closed = [each for each in followed(channel.id, fallbacks) if each in off]
    return tuple(names[each] for each in looked_at), tuple(names[each] for each in closed)


_MISSING = "current_version: nothing is known of this device yet, so say what it runs, for example 1.4.0+27."
_MISSING_BOTH = "current_version: say what the device runs, for example 1.4.0+27, or the id of a device that has asked before."
