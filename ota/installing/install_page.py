"""The install page: what it offers on each platform, and why an installation would fail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ota.builds import facts as build_facts
from ota.builds import versions
from ota.core.install_access import InstallAccess, normal_udid
from ota.core.platforms import Platform, ProfileType, android_name
from ota.core.preflight import EXPIRES_SOON
from ota.errors import Forbidden, Invalid, NotFound
from ota.models import App, Artifact, Version
from ota.packages.facts import BuildFacts, Profile
from ota.updates import answers as update_answers

_LIMITED_TO_DEVICES = {ProfileType.AD_HOC, ProfileType.DEVELOPMENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """The version that the page offers on one platform. Without a ``version`` it offers nothing.

    ``problem`` is the reason why an installation would fail, ``warning`` what to know before a possible one.
    ``device_count`` is the number of devices in a profile that allows only these; the page never lists them.
    ``label``, like all texts from a build, is hostile input.
    """

    platform: Platform
    version: Version | None = None
    label: str | None = None
    has_icon: bool = False
    needs: str | None = None
    bundle_id: str | None = None
    problem: str | None = None
    warning: str | None = None
    device_count: int | None = None
    is_enterprise: bool = False

    @property
    def is_installable(self) -> bool:
        return self.version is not None and self.problem is None


def open_app(session: Session, slug: str) -> App:
    """Return the app, if its install page is open to everybody. Raises `NotFound` or `Forbidden`."""
    app = session.scalar(select(App).where(App.slug == slug))
    if app is None or app.install_access == InstallAccess.OFF:
        raise NotFound(
            "unknown_app",
            "There is no app to install at this address. Check the address that you were given.",
        )
    if app.install_access == InstallAccess.LINKS:
        raise Forbidden(
            "link_needed",
            "This page opens only with a link. Ask the people who make the app to send you one.",
        )
    return app


def offerings(
    session: Session, app: App, *, first: Platform | None, base_url: str, now: datetime
) -> list[Offering]:
    """Return one offering for each platform, that of the platform ``first`` before the others.

    A platform's offering is the newest version on the app's default channel that is open to all devices.
    """
    platforms = sorted(Platform, key=lambda platform: platform is not first)
    return [_offering(session, app, platform, base_url=base_url, now=now) for platform in platforms]


def installable(session: Session, app: App, platform: Platform, *, base_url: str, now: datetime) -> Offering:
    """Return the platform's offering, if it can be installed. Raises `NotFound` with the reason if not."""
    found = _offering(session, app, platform, base_url=base_url, now=now)
    if not found.is_installable:
        raise NotFound(
            "not_installable",
            found.problem or f"No version for {platform.label} can be installed at the moment.",
        )
    return found


def is_registered(session: Session, app: App, udid: str, *, now: datetime) -> bool:
    """Return whether the device is in the profile of the offered iOS build.

    Raises `Invalid` for a malformed UDID, `NotFound` without a build.
    """
    wanted = normal_udid(udid)
    if wanted is None:
        raise Invalid(
            "bad_udid",
            "That is no UDID: it has 40 characters, or 8 and 16 with a hyphen, all of them 0 to 9 and a to "
            "f.",
        )
    version = update_answers.latest(session, app=app.slug, platform=Platform.IOS, channel=None, now=now)
    facts = build_facts.facts_of(version)
    devices = facts.profile.devices if facts and facts.profile else ()
    return any(normal_udid(device) == wanted for device in devices)


def has_public_icons(app: App) -> bool:
    """Return whether everybody can load icons of active versions: only if the page is open to everybody."""
    return app.install_access == InstallAccess.OPEN


def icon(session: Session, app: App, version_id: int, *, is_public: bool) -> tuple[bytes, str]:
    """Return a version's icon, a PNG made by this server, and the SHA-256 of the file that it was read from.

    Raises `NotFound` without an icon. The public sees icons of active versions only, and only with
    `has_public_icons`.
    """
    version = versions.get(session, version_id, app=app)
    if is_public and not (version.is_active and has_public_icons(app)):
        raise _no_icon()
    row = session.execute(
        select(Artifact.icon, Artifact.sha256).where(Artifact.id == version.artifact_id)
    ).one_or_none()
    if row is None or row.icon is None:
        raise _no_icon()
    return row.icon, row.sha256


def _offering(session: Session, app: App, platform: Platform, *, base_url: str, now: datetime) -> Offering:
    try:
        version = update_answers.latest(session, app=app.slug, platform=platform, channel=None, now=now)
    except NotFound:
        return Offering(platform=platform)
    facts = build_facts.facts_of(version)
    profile = facts.profile if facts else None
    bundle_id = version.package_id or app.package_id(platform)
    is_limited = profile is not None and profile.type in _LIMITED_TO_DEVICES
    is_https = _is_https(version, base_url)
    return Offering(
        platform=platform,
        version=version,
        label=facts.label if facts else None,
        has_icon=build_facts.has_icon(session, version),
        needs=_needs(facts) if facts else None,
        bundle_id=bundle_id,
        problem=_ios_problem(is_https, bundle_id, profile, now) if platform is Platform.IOS else None,
        warning=_warning(platform, is_https, profile, now),
        device_count=len(profile.devices) if profile and is_limited else None,
        is_enterprise=profile is not None and profile.type is ProfileType.ENTERPRISE,
    )


def _is_https(version: Version, base_url: str) -> bool:
    file_url = base_url if version.is_hosted_here else version.download_url
    return base_url.startswith("https://") and file_url.startswith("https://")


def _needs(facts: BuildFacts) -> str | None:
    if facts.platform is Platform.ANDROID:
        return f"{android_name(facts.min_sdk)} or newer" if facts.min_sdk else None
    return f"iOS {facts.minimum_os} or newer" if facts.minimum_os else None


def _ios_problem(is_https: bool, bundle_id: str | None, profile: Profile | None, now: datetime) -> str | None:
    if not is_https:
        return (
            "iPhones and iPads install apps only from addresses that begin with https, and this one does "
            "not. "
            "Whoever runs the server has to set it up with a certificate."
        )
    if bundle_id is None:
        return (
            "Nobody has told the server this app's bundle id, which iOS asks for. "
            "It is known once a build was uploaded here."
        )
    if profile is not None and profile.expires_at <= now:
        return (
            f"The profile that this build was signed with expired on {_day(profile.expires_at)}, so iOS "
            "refuses it. "
            "Ask the people who make the app for a new build."
        )
    return None


def _warning(platform: Platform, is_https: bool, profile: Profile | None, now: datetime) -> str | None:
    if platform is Platform.ANDROID and not is_https:
        return (
            "This address is not encrypted: somebody on the same network could hand you another file. "
            "Use a network that you trust."
        )
    if profile is not None and now < profile.expires_at <= now + EXPIRES_SOON:
        return f"It stops working on {_day(profile.expires_at)}, when the profile it was signed with expires."
    return None


def _no_icon() -> NotFound:
    return NotFound("no_icon", "There is no icon at this address.")


def _day(when: datetime) -> str:
    return f"{when.day} {when:%B %Y}"
