"""What the page shows from which people install an app, and why an installation could not work."""

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

_LIMITED = {ProfileType.AD_HOC, ProfileType.DEVELOPMENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """What people get on one platform. Without a ``version`` nothing is offered.

    ``problem`` says why an installation can't work, ``warning`` what to know before one that can. ``device_count`` is the
    number of devices in a profile that allows only those; which ones they are is told to nobody. ``label``, like all texts
    from a build, is hostile.
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
    """The app whose install page everybody may see. Raises `NotFound` or `Forbidden`."""
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


def offerings(session: Session, app: App, *, base_url: str, now: datetime) -> tuple[Offering, ...]:
    """What there is on each platform: the newest version open to everybody on the app's default channel."""
    return tuple(offering(session, app, platform, base_url=base_url, now=now) for platform in Platform)


def offering(session: Session, app: App, platform: Platform, *, base_url: str, now: datetime) -> Offering:
    """What there is on this platform."""
    try:
        version = update_answers.latest(session, app=app.slug, platform=platform, channel=None, now=now)
    except NotFound:
        return Offering(platform=platform)
    facts, has_icon = build_facts.facts_of(version), build_facts.has_icon(session, version)
    profile = facts.profile if facts else None
    bundle_id = version.package_id or app.package_id(platform)
    is_limited = profile is not None and profile.type in _LIMITED
    return Offering(
        platform=platform,
        version=version,
        label=facts.label if facts else None,
        has_icon=has_icon,
        needs=_needs(facts) if facts else None,
        bundle_id=bundle_id,
        problem=_problem(version, bundle_id, profile, base_url, now),
        warning=_warning(version, profile, base_url, now),
        device_count=len(profile.devices) if profile and is_limited else None,
        is_enterprise=profile is not None and profile.type is ProfileType.ENTERPRISE,
    )


def installable(session: Session, app: App, platform: Platform, *, base_url: str, now: datetime) -> Offering:
    """What there is on this platform, when it can be installed. Raises `NotFound` saying why not."""
    found = offering(session, app, platform, base_url=base_url, now=now)
    if not found.is_installable:
        raise NotFound(
            "not_installable",
            found.problem or f"No version for {platform.label} can be installed at the moment.",
        )
    return found


def is_registered(session: Session, app: App, udid: str, *, now: datetime) -> bool:
    """Is this device in the profile of the offered iOS build? Raises `Invalid` for what is no UDID, `NotFound` without a build."""
    wanted = normal_udid(udid)
    if wanted is None:
        raise Invalid(
            "bad_udid",
            "That is no UDID: it has 40 characters, or 8 and 16 with a hyphen, all of them 0 to 9 and a to f.",
        )
    version = update_answers.latest(session, app=app.slug, platform=Platform.IOS, channel=None, now=now)
    facts = build_facts.facts_of(version)
    devices = facts.profile.devices if facts and facts.profile else ()
    return any(normal_udid(device) == wanted for device in devices)


def icon(session: Session, app: App, version_id: int, *, is_public: bool) -> tuple[bytes, str]:
    """A version's icon, a PNG made by this server, with the digest of the file it came from. Raises `NotFound`.

    The public sees those of active versions only, and only of apps whose install page is open to everybody.
    """
    version = versions.get(session, version_id, app=app)
    if is_public and not (version.is_active and app.install_access == InstallAccess.OPEN):
        raise NotFound("no_icon", "There is no icon at this address.")
    row = session.execute(
        select(Artifact.icon, Artifact.sha256).where(Artifact.id == version.artifact_id)
    ).one_or_none()
    if row is None or row.icon is None:
        raise NotFound("no_icon", "There is no icon at this address.")
    return row.icon, row.sha256


def _needs(facts: BuildFacts) -> str | None:
    if facts.platform is Platform.ANDROID:
        return f"{android_name(facts.min_sdk)} or newer" if facts.min_sdk else None
    return f"iOS {facts.minimum_os} or newer" if facts.minimum_os else None


def _problem(
    version: Version, bundle_id: str | None, profile: Profile | None, base_url: str, now: datetime
) -> str | None:
    if version.platform != Platform.IOS:
        return None
    file_url = base_url if version.is_hosted_here else version.download_url
    if not (base_url.startswith("https://") and file_url.startswith("https://")):
        return (
            "iPhones and iPads install apps only from addresses that begin with https, and this one does not. "
            "Whoever runs the server has to set it up with a certificate."
        )
    if bundle_id is None:
        return "Nobody has told the server this app's bundle id, which iOS asks for. It is known once a build was uploaded here."
    if profile is None:
        return None
    if profile.expires_at <= now:
        return (
            f"The profile that this build was signed with expired on {_day(profile.expires_at)}, so iOS refuses it. "
            "Ask the people who make the app for a new build."
        )
    return None


def _warning(version: Version, profile: Profile | None, base_url: str, now: datetime) -> str | None:
    file_url = base_url if version.is_hosted_here else version.download_url
    if version.platform == Platform.ANDROID and not (
        base_url.startswith("https://") and file_url.startswith("https://")
    ):
        return "This address is not encrypted: somebody on the same network could hand you another file. Use a network that you trust."
    if profile is not None and now < profile.expires_at <= now + EXPIRES_SOON:
        return f"It stops working on {_day(profile.expires_at)}, when the profile it was signed with expires."
    return None


def _day(when: datetime) -> str:
    return f"{when.day} {when:%B %Y}"
