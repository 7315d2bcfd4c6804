"""The facts about a build that the rules use, and the differences between two builds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ota.core.platforms import Platform, ProfileType, Scheme
from ota.core.signers import Signers


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """The facts of one version's file. An external file was not read, so it has only the first four fields.

    ``signer`` is the SHA-256 of an APK's certificate, or a team id; ``signers`` are the signer ranges.
    ``abis`` is empty for a build that runs on all. ``size`` is in bytes.
    """

    platform: Platform
    version: str
    version_code: int
    has_checksum: bool
    package_id: str | None = None
    is_read: bool = False
    size: int | None = None
    scheme: Scheme | None = None
    signer: str | None = None
    signers: Signers = ()
    is_debug_signed: bool = False
    is_debuggable: bool = False
    label: str | None = None
    framework: str | None = None
    min_sdk: int | None = None
    target_sdk: int | None = None
    abis: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    minimum_os: str | None = None
    profile_type: ProfileType | None = None
    profile_expires_at: datetime | None = None
    profile_devices: tuple[str, ...] = ()

    def runs_on(self, abis: Iterable[str]) -> bool:
        """Return whether the build has code for a device that runs these ABIs."""
        return not self.abis or bool(set(self.abis) & set(abis))


@dataclass(frozen=True, slots=True)
class Change:
    """One difference from the previous build: two texts, or the entries that a list has gained and lost."""

    what: str
    before: str | None = None
    after: str | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def changes(before: Build, after: Build) -> list[Change]:
    """Return the differences between two builds, the most important ones first."""
    compared = [
        _value("signer", before.signer, after.signer),
        _value("signature scheme", before.scheme, after.scheme),
        _listed("permissions", before.permissions, after.permissions),
        _value("minimum SDK", before.min_sdk, after.min_sdk),
        _value("target SDK", before.target_sdk, after.target_sdk),
        _value("minimum iOS", before.minimum_os, after.minimum_os),
        _listed("ABIs", before.abis, after.abis),
        _value("debuggable", _yes(before.is_debuggable), _yes(after.is_debuggable)),
        _value("name on the phone", before.label, after.label),
        _value("made with", before.framework, after.framework),
        _value("profile", before.profile_type, after.profile_type),
        _listed("devices in the profile", before.profile_devices, after.profile_devices),
    ]
    return [change for change in compared if change is not None]


def _value(what: str, before: object, after: object) -> Change | None:
    if before == after:
        return None
    return Change(what, None if before is None else str(before), None if after is None else str(after))


def _listed(what: str, before: tuple[str, ...], after: tuple[str, ...]) -> Change | None:
    if set(before) == set(after):
        return None
    return Change(
        what, added=tuple(sorted(set(after) - set(before))), removed=tuple(sorted(set(before) - set(after)))
    )


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"
