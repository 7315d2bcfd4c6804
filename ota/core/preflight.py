"""The checks before a version can be published. Each passes, warns or blocks; a block holds for all doors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from ota.core.build_facts import Build
from ota.core.platforms import Platform, ProfileType, Scheme, os_numbers
from ota.core.signers import Signers, break_in

EXPIRES_SOON = timedelta(days=30)


class CheckVerdict(StrEnum):
    """Whether a version can be published: yes, yes with care, no."""

    PASS = "pass"  # noqa: S105  Not a password.
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class PreflightCheck:
    """The result of one check. ``devices``: the active devices that it concerns, where they were counted."""

    name: str
    verdict: CheckVerdict
    message: str
    devices: int | None = None


@dataclass(frozen=True, slots=True)
class ActiveDevices:
    """Devices that checked within the last 30 days, compared with the build. ``unknown_*``: not reported."""

    active: int = 0
    below_minimum: int = 0
    without_abi: int = 0
    already_newer: int = 0
    unknown_system: int = 0
    unknown_abis: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The app and the channel that a build is meant for.

    ``before`` is what the channel offers now, or what was published last. ``signers`` are those of every
    published build, and ``signed_versions`` names the last version of each of them.
    """

    package_id: str | None
    signers: tuple[Signers, ...] = ()
    signed_versions: Mapping[str, str] = field(default_factory=dict)
    before: Build | None = None
    fleet: ActiveDevices = ActiveDevices()
    allows_debuggable: bool = False
    allows_external: bool = True
    is_https: bool = True


def examine(build: Build, situation: Situation, now: datetime) -> list[PreflightCheck]:
    """Run all checks, in the order in which they are shown. ``now`` is an aware UTC time."""
    return [
        *_identity(build, situation),
        _code(build, situation),
        *_requirements(build, situation),
        *_profile(build, now),
        _https(build, situation),
    ]


def is_blocked(checks: list[PreflightCheck]) -> bool:
    return any(check.verdict is CheckVerdict.BLOCK for check in checks)


def other_signer(platform: Platform, signer: str, new: str, version: str | None) -> str:
    """Return the message about a changed signer for uploaders and publishers.

    ``version`` is the last version of the old ``signer``.
    """
    was = f"version {version} was signed" if version else "what was published before was signed"
    if platform is Platform.IOS:
        return (
            f"Signed by the team {new}, but {was} by the team {signer}: iPhones that have it will refuse "
            "this one as its update. Sign with a profile of the old team, or make another app of it."
        )
    return (
        f"Signed with {fingerprint(new)}, but {was} with {fingerprint(signer)}: phones that have it will "
        "refuse this one. Sign with the old key, or add it to the lineage (apksigner rotate)."
    )


def fingerprint(sha256: str) -> str:
    """Return a SHA-256 in its usual form: pairs of capitals, separated by colons."""
    return ":".join(sha256[at : at + 2] for at in range(0, len(sha256), 2)).upper()


def _passed(name: str, message: str) -> PreflightCheck:
    return PreflightCheck(name, CheckVerdict.PASS, message)


def _warning(name: str, message: str, devices: int | None = None) -> PreflightCheck:
    return PreflightCheck(name, CheckVerdict.WARN, message, devices)


def _block(name: str, message: str) -> PreflightCheck:
    return PreflightCheck(name, CheckVerdict.BLOCK, message)


def _identity(build: Build, situation: Situation) -> Iterator[PreflightCheck]:
    if not build.has_checksum:
        why = "There is no SHA-256 of the file: devices could not tell whether they got the right bytes."
        yield _block("file", why)
    if not build.is_read:
        yield _external(situation)
        return
    yield _signature(build)
    yield _signer(build, situation)
    yield _package_id(build, situation)
    yield _debuggable(build, situation)


def _external(situation: Situation) -> PreflightCheck:
    why = "The file lives elsewhere: this server has neither read nor verified it."
    if situation.allows_external:
        return _warning("signature", f"{why} Whoever publishes it vouches for it.")
    remedy = "Upload the build here, or let an administrator allow it in the app's settings."
    return _block("signature", f"{why} {remedy}")


def _signature(build: Build) -> PreflightCheck:
    if build.scheme is Scheme.PROFILE:
        team = f"Its profile is of the team {build.signer}."
        return _passed("signature", f"{team} iOS verifies the code itself.")
    if build.is_debug_signed:
        why = "Signed with an Android debug key: everybody who has it can make updates of this app."
        return _warning("signature", f"{why} Sign releases with a key of your own.")
    if build.scheme is Scheme.V1:
        why = "Verified with scheme v1 alone, which protects the entries and not the whole file."
        return _warning("signature", f"{why} Sign it with v2 or newer too.")
    return _passed("signature", f"Verified with scheme {build.scheme}: every byte is its signer's.")


def _signer(build: Build, situation: Situation) -> PreflightCheck:
    if not situation.signers:
        pinned = "from now on only builds that its signer signed are taken"
        return _passed("signer", f"The first published build: {pinned}.")
    broken = break_in(situation.signers, build.signers)
    if broken is not None:
        last = situation.signed_versions.get(broken[0])
        return _block("signer", other_signer(build.platform, *broken, last))
    if build.signer not in {each.signer for each in situation.signers[-1]}:
        return _passed("signer", "A new key, with a lineage that proves the change from the old one.")
    why = "its signer is the same, or proves to follow it"
    return _passed("signer", f"Every phone that has an earlier build will take this one: {why}.")


def _package_id(build: Build, situation: Situation) -> PreflightCheck:
    if build.package_id != situation.package_id and situation.package_id is not None:
        return _block("package_id", f"It is {build.package_id}, but the app is {situation.package_id}.")
    return _passed("package_id", f"It is {build.package_id}, as the app is.")


def _debuggable(build: Build, situation: Situation) -> PreflightCheck:
    if not build.is_debuggable:
        return _passed("debuggable", "Not debuggable.")
    why = "A debug build: whoever holds the phone can read and change what the app keeps."
    if situation.allows_debuggable:
        return _warning("debuggable", why)
    remedy = "Build it for release, or allow debug builds in the app's settings."
    return _block("debuggable", f"{why} {remedy}")


def _code(build: Build, situation: Situation) -> PreflightCheck:
    before, fleet = situation.before, situation.fleet
    if before is not None and before.version_code >= build.version_code:
        why = f"Version {before.version} has the code {before.version_code} and stays the newest"
        return _warning(
            "version_code", f"{why}: who is offered it does not see this one.", fleet.already_newer
        )
    if fleet.already_newer:
        devices = f"{fleet.already_newer:,} of {fleet.active:,} active devices"
        why = f"{devices} run this version code or a higher one: they will not take it."
        return _warning("version_code", why, fleet.already_newer)
    why = f"{build.version_code} is higher than what is offered here and what devices run."
    return _passed("version_code", why)


def _requirements(build: Build, situation: Situation) -> Iterator[PreflightCheck]:
    """Compare what the build requires of a phone with what the build before required."""
    before, fleet = situation.before, situation.fleet
    if not build.is_read or before is None or not before.is_read:
        return
    if build.platform is Platform.ANDROID:
        yield _minimum("min_sdk", "Android API level", (build.min_sdk or 1,), (before.min_sdk or 1,), fleet)
        yield _abis(build, before, fleet)
    else:
        new, old = os_numbers(build.minimum_os), os_numbers(before.minimum_os)
        yield _minimum("minimum_os", "iOS", new, old, fleet)


def _minimum(
    name: str, system: str, new: tuple[int, ...], old: tuple[int, ...], fleet: ActiveDevices
) -> PreflightCheck:
    shown, was = (".".join(map(str, numbers)) for numbers in (new, old))
    if new <= old:
        return _passed(name, f"Needs {system} {shown}, no more than before.")
    left_behind = _left_behind(fleet.below_minimum, fleet.unknown_system, fleet)
    why = f"Needs {system} {shown}; {was} was enough before. {left_behind}"
    return _warning(name, why, fleet.below_minimum)


def _abis(build: Build, before: Build, fleet: ActiveDevices) -> PreflightCheck:
    lost = sorted(set(before.abis) - set(build.abis)) if build.abis else []
    if build.abis and not before.abis:
        lost = ["all others"]
    if not lost:
        return _passed("abis", "Runs on every processor that the build before ran on.")
    left_behind = _left_behind(fleet.without_abi, fleet.unknown_abis, fleet)
    return _warning("abis", f"No longer has code for {', '.join(lost)}. {left_behind}", fleet.without_abi)


def _left_behind(count: int, silent: int, fleet: ActiveDevices) -> str:
    unknown = f" ({silent:,} did not say)" if silent else ""
    return f"{count:,} of {fleet.active:,} active devices would be left behind{unknown}."


def _profile(build: Build, now: datetime) -> Iterator[PreflightCheck]:
    if build.platform is not Platform.IOS or build.profile_expires_at is None:
        return
    kind, expires, day = build.profile_type, build.profile_expires_at, f"{build.profile_expires_at:%Y-%m-%d}"
    if expires <= now:
        why = f"Its profile expired on {day}: iPhones refuse it."
        yield _block("profile", f"{why} Sign it again with a new profile.")
        return
    devices = f"the {len(build.profile_devices):,} devices in it can install this build."
    if expires - now < EXPIRES_SOON:
        why = f"Its profile expires on {day}: from then on the app no longer starts."
        yield _warning("profile", why if kind is ProfileType.ENTERPRISE else f"{why} Only {devices}")
    elif kind in {ProfileType.AD_HOC, ProfileType.DEVELOPMENT}:
        article = "An" if kind is ProfileType.AD_HOC else "A"
        yield _warning("profile", f"{article} {kind} profile: only {devices}")
    else:
        yield _passed("profile", f"An {kind} profile, good until {day}.")


def _https(build: Build, situation: Situation) -> PreflightCheck:
    if situation.is_https:
        return _passed("https", "Its address is https.")
    harm = (
        "iPhones will not install from it"
        if build.platform is Platform.IOS
        else "somebody on the way can keep updates from phones"
    )
    remedy = "Serve it, and set OTA_BASE_URL, with https."
    return _warning("https", f"Its address is not https: {harm}. {remedy}")
