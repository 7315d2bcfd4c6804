"""What is looked at before a version may be published. Pass, warn, or block; a block stops every door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from ota.core.build_facts import Build
from ota.core.platforms import Platform, ProfileType, Scheme, os_numbers
from ota.core.signers import Signers, break_in

EXPIRES_SOON = timedelta(days=30)


class Verdict(StrEnum):
    """Fine; think about it; not possible."""

    PASS = "pass"  # noqa: S105  Not a password.
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the list. ``devices``: how many active ones it concerns, where that was counted."""

    name: str
    verdict: Verdict
    message: str
    devices: int | None = None


@dataclass(frozen=True, slots=True)
class Fleet:
    """Devices that asked within the last 30 days, counted against the build. ``unknown_...``: did not say."""

    active: int = 0
    below_minimum: int = 0
    without_abi: int = 0
    already_newer: int = 0
    unknown_system: int = 0
    unknown_abis: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the build comes into. ``before`` is what the channel offers now, or what was published last.

    ``signers`` are those of every build that was published; ``signed_versions`` names the last version that each of them signed.
    """

    package_id: str | None
    signers: tuple[Signers, ...] = ()
    signed_versions: Mapping[str, str] = field(default_factory=dict)
    before: Build | None = None
    fleet: Fleet = Fleet()
    allows_debuggable: bool = False
    allows_external: bool = True
    is_https: bool = True


def examine(build: Build, situation: Situation, now: datetime) -> list[Check]:
    """The whole list, in the order in which it is shown. ``now`` is an aware UTC time."""
    return [
        *_identity(build, situation),
        *_code(build, situation),
        *_reach(build, situation),
        *_profile(build, now),
        _https(build, situation),
    ]


def is_blocked(checks: list[Check]) -> bool:
    return any(check.verdict is Verdict.BLOCK for check in checks)


def other_signer(platform: Platform, signer: str, new: str, version: str | None) -> str:
    """The sentence with both signers that an uploader and a publisher read; ``version`` is the last one of the old signer."""
    was = f"version {version} was signed" if version else "what was published before was signed"
    if platform is Platform.IOS:
        return (
            f"Signed by the team {new}, but {was} by the team {signer}: iPhones that have it will refuse this one as its "
            "update. Sign with a profile of the old team, or make another app of it."
        )
    return (
        f"Signed with {fingerprint(new)}, but {was} with {fingerprint(signer)}: phones that have it will refuse this one. "
        "Sign with the old key, or add it to the lineage (apksigner rotate)."
    )


def fingerprint(sha256: str) -> str:
    """The usual way to write one: pairs in capitals, with colons."""
    return ":".join(sha256[at : at + 2] for at in range(0, len(sha256), 2)).upper()


def _identity(build: Build, situation: Situation) -> Iterator[Check]:
    if not build.has_checksum:
        yield Check(
            "file",
            Verdict.BLOCK,
            "There is no SHA-256 of the file: devices could not tell whether they got the right bytes.",
        )
    if not build.is_read:
        yield _elsewhere(situation)
        return
    yield _signature(build)
    yield _signer(build, situation)
    if build.package_id != situation.package_id and situation.package_id is not None:
        yield Check(
            "package_id", Verdict.BLOCK, f"It is {build.package_id}, but the app is {situation.package_id}."
        )
    else:
        yield Check("package_id", Verdict.PASS, f"It is {build.package_id}, as the app is.")
    yield _debuggable(build, situation)


def _elsewhere(situation: Situation) -> Check:
    why = "The file lives elsewhere: this server has neither read nor verified it."
    if situation.allows_external:
        return Check("signature", Verdict.WARN, f"{why} Whoever publishes it vouches for it.")
    return Check(
        "signature",
        Verdict.BLOCK,
        f"{why} Upload the build here, or let an administrator allow it in the app's settings.",
    )


def _signature(build: Build) -> Check:
    if build.scheme is Scheme.PROFILE:
        return Check(
            "signature",
            Verdict.PASS,
            f"Its profile is of the team {build.signer}. iOS verifies the code itself.",
        )
    if build.is_debug_signed:
        why = "Signed with an Android debug key: everybody who has it can make updates of this app. Sign releases with a key of your own."
        return Check("signature", Verdict.WARN, why)
    if build.scheme is Scheme.V1:
        why = "Verified with scheme v1 alone, which protects the entries and not the whole file. Sign it with v2 or newer too."
        return Check("signature", Verdict.WARN, why)
    return Check(
        "signature", Verdict.PASS, f"Verified with scheme {build.scheme}: every byte is its signer's."
    )


def _signer(build: Build, situation: Situation) -> Check:
    if not situation.signers:
        return Check(
            "signer",
            Verdict.PASS,
            "The first published build: from now on only builds that its signer signed are taken.",
        )
    broken = break_in(situation.signers, build.signers)
    if broken is not None:
        return Check(
            "signer",
            Verdict.BLOCK,
            other_signer(build.platform, *broken, situation.signed_versions.get(broken[0])),
        )
    if build.signer not in {each.signer for each in situation.signers[-1]}:
        return Check(
            "signer", Verdict.PASS, "A new key, with a lineage that proves the change from the old one."
        )
    return Check(
        "signer",
        Verdict.PASS,
        "Every phone that has an earlier build will take this one: its signer is the same, or proves to follow it.",
    )


def _debuggable(build: Build, situation: Situation) -> Check:
    if not build.is_debuggable:
        return Check("debuggable", Verdict.PASS, "Not debuggable.")
    if situation.allows_debuggable:
        return Check(
            "debuggable",
            Verdict.WARN,
            "A debug build: whoever holds the phone can read and change what the app keeps.",
        )
    return Check(
        "debuggable",
        Verdict.BLOCK,
        "A debug build: whoever holds the phone can read and change what the app keeps. Build it for release, or allow debug builds in "
        "the app's settings.",
    )


def _code(build: Build, situation: Situation) -> Iterator[Check]:
    before, fleet = situation.before, situation.fleet
    if before is not None and before.version_code >= build.version_code:
        why = f"Version {before.version} has the code {before.version_code} and stays the newest: who is offered it does not see this one."
        yield Check("version_code", Verdict.WARN, why, fleet.already_newer)
    elif fleet.already_newer:
        why = f"{fleet.already_newer:,} of {fleet.active:,} active devices run this version code or a higher one: they will not take it."
        yield Check("version_code", Verdict.WARN, why, fleet.already_newer)
    else:
        yield Check(
            "version_code",
            Verdict.PASS,
            f"{build.version_code} is higher than what is offered here and what devices run.",
        )


def _reach(build: Build, situation: Situation) -> Iterator[Check]:
    before, fleet = situation.before, situation.fleet
    if not build.is_read or before is None or not before.is_read:
        return
    if build.platform is Platform.ANDROID:
        yield _minimum("min_sdk", "Android API level", (build.min_sdk or 1,), (before.min_sdk or 1,), fleet)
        yield _abis(build, before, fleet)
    else:
        yield _minimum(
            "minimum_os", "iOS", os_numbers(build.minimum_os), os_numbers(before.minimum_os), fleet
        )


def _minimum(name: str, system: str, new: tuple[int, ...], old: tuple[int, ...], fleet: Fleet) -> Check:
    shown, was = (".".join(map(str, numbers)) for numbers in (new, old))
    if new <= old:
        return Check(name, Verdict.PASS, f"Needs {system} {shown}, no more than before.")
    why = f"Needs {system} {shown}; {was} was enough before. {_left_behind(fleet.below_minimum, fleet.unknown_system, fleet)}"
    return Check(name, Verdict.WARN, why, fleet.below_minimum)


def _abis(build: Build, before: Build, fleet: Fleet) -> Check:
    lost = sorted(set(before.abis) - set(build.abis)) if build.abis else []
    if build.abis and not before.abis:
        lost = ["all others"]
    if not lost:
        return Check("abis", Verdict.PASS, "Runs on every processor that the build before ran on.")
    message = f"No longer has code for {', '.join(lost)}. {_left_behind(fleet.without_abi, fleet.unknown_abis, fleet)}"
    return Check("abis", Verdict.WARN, message, fleet.without_abi)


def _left_behind(count: int, silent: int, fleet: Fleet) -> str:
    unknown = f" ({silent:,} did not say)" if silent else ""
    return f"{count:,} of {fleet.active:,} active devices would be left behind{unknown}."


def _profile(build: Build, now: datetime) -> Iterator[Check]:
    if build.platform is not Platform.IOS or build.profile_expires_at is None:
        return
    expires, kind = build.profile_expires_at, build.profile_type
    if expires <= now:
        yield Check(
            "profile",
            Verdict.BLOCK,
            f"Its profile expired on {expires:%Y-%m-%d}: iPhones refuse it. Sign it again with a new profile.",
        )
        return
    only = f" Only the {len(build.profile_devices):,} devices in it can install this build."
    if expires - now < EXPIRES_SOON:
        why = f"Its profile expires on {expires:%Y-%m-%d}: from then on the app no longer starts."
        yield Check("profile", Verdict.WARN, why + (only if kind is not ProfileType.ENTERPRISE else ""))
    elif kind in {ProfileType.AD_HOC, ProfileType.DEVELOPMENT}:
        message = f"An {kind} profile" if kind is ProfileType.AD_HOC else f"A {kind} profile"
        yield Check(
            "profile",
            Verdict.WARN,
            f"{message}: only the {len(build.profile_devices):,} devices in it can install this build.",
        )
    else:
        yield Check("profile", Verdict.PASS, f"An {kind} profile, good until {expires:%Y-%m-%d}.")


def _https(build: Build, situation: Situation) -> Check:
    if situation.is_https:
        return Check("https", Verdict.PASS, "Its address is https.")
    harm = (
        "iPhones will not install from it"
        if build.platform is Platform.IOS
        else "somebody on the way can keep updates from phones"
    )
    return Check(
        "https",
        Verdict.WARN,
        f"Its address is not https: {harm}. Serve it, and set OTA_BASE_URL, with https.",
    )
