"""The parts of a row of the contract: releases, a device, the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SALT = "contract"
FIRST, EARLY, LATE, LAST = "device-6821", "device-43", "device-7", "device-6110"
BUCKETS = {FIRST: 0, EARLY: 646, LATE: 7_204, LAST: 9_999}
"""The devices of the table, with their buckets for SALT."""

CHANNELS: Mapping[str, tuple[str, ...]] = {
    "stable": (),
    "beta": ("stable",),
    "nightly": ("beta",),
    "canary": ("beta", "stable"),
    "lone": (),
}
"""The channels of the app, with their fallbacks."""

GROUPS = ("Shop 42", "Testers")
"""The device groups of the app."""

APP = "app"
"""The name of the whole app in `Case.shut_off`."""


@dataclass(frozen=True)
class R:
    """A release. Times are seconds from now. ``signer`` is for a file that was read.

    ``follows`` is the earlier signer that it can replace. ``arm_from`` makes it an arm of an experiment,
    which begins at this bucket and is ``rollout`` wide.
    """

    code: int
    version: str
    rollout: int = 10_000
    state: str = "active"
    mandatory: bool = False
    minimum: str | None = None
    starts_in: int = -60
    channel: str = "stable"
    platform: str = "android"
    groups: tuple[str, ...] = ()
    floor: bool = False
    mandatory_in: int | None = None
    critical_from: str | None = None
    critical_below: str | None = None
    min_sdk: int | None = None
    min_os: str | None = None
    abis: tuple[str, ...] = ()
    signer: str | None = None
    follows: str | None = None
    arm_from: int | None = None


@dataclass(frozen=True)
class Case:
    """One row: the situation, and the expected answer.

    ``offers`` is a version code or None, ``reason`` the documented code. ``more`` are further fields of the
    check, ``groups`` the device's groups, ``shut_off`` channels or `APP`. ``withdrawn``: the answer says that
    the device's version was withdrawn.
    """

    name: str
    releases: tuple[R, ...]
    current: str
    offers: int | None
    reason: str = "update_available"
    mandatory: bool = False
    device: str | None = LATE
    more: Mapping[str, Any] = field(default_factory=dict)
    blocked: bool = False
    groups: tuple[str, ...] = ()
    shut_off: tuple[str, ...] = ()
    withdrawn: bool = False

    @property
    def platform(self) -> str:
        return str(self.more.get("platform", "android"))

    @property
    def channel(self) -> str:
        return str(self.more.get("channel", "stable"))


USER_INITIATED = {"user_initiated": True}
BETA = {"channel": "beta"}
IOS = {"platform": "ios"}

ONE = R(1, "1.0.0")
TWO = R(2, "1.1.0")
THREE = R(3, "1.2.0")
