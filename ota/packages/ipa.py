"""Facts of an IPA: the app's Info.plist, its extensions, its provisioning profile and its icon.

The keys are those of Apple's "Information Property List Key Reference". Localized names are not read, and
neither is an icon that exists only in a compiled asset catalog (``Assets.car``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ota.core.platforms import Platform, Scheme
from ota.core.signers import SignerRange
from ota.core.versions import MAX_VERSION_CODE
from ota.errors import Rejected
from ota.packages import icons
from ota.packages import profile as profiles
from ota.packages.archive import Archive
from ota.packages.facts import MAX_LISTED, Certificate, Extension, PackageFacts, Signature, clean_text

_MAX_PLIST_BYTES = 4 * 1024**2
_MAX_EXTENSION_PLIST_BYTES = 256 * 1024
_MAX_ICONS = 24
_INFO = re.compile(r"Payload/[^/]+\.app/Info\.plist")
_APP = re.compile(r"(Payload/[^/]+\.app/)(.*)", re.DOTALL)
# Extensions, App Clips and watch apps. The last two can contain extensions.
_EXTENSION = re.compile(
    r"(?:(?:(?:Watch|AppClips)/[^/]+\.app/)?(?:PlugIns|Extensions)/[^/]+\.appex|(?:Watch|AppClips)/[^/]+\.app)/Info\.plist"
)
_ICON_FILE = re.compile(r"(.+?)(?:@[23]x)?(?:~[a-z]+)?\.png")
_FAMILIES = {1: "iPhone", 2: "iPad", 3: "Apple TV", 4: "Apple Watch", 6: "Mac", 7: "Apple Vision"}
_FRAMEWORKS = (
    ("Flutter", ("Frameworks/Flutter.framework/", "Frameworks/App.framework/flutter_assets/")),
    ("React Native", ("main.jsbundle", "Frameworks/hermes.framework/")),
    ("Unity", ("Frameworks/UnityFramework.framework/",)),
)


def info_plist_name(names: Iterable[str]) -> str | None:
    """Return the name of the Info.plist of the app itself, or None if this is no IPA."""
    return next((name for name in names if _INFO.fullmatch(name)), None)


def read(archive: Archive) -> PackageFacts:
    """Read the facts of an IPA. ``framework_version`` stays None: no framework stores a reliable version.

    Raises `Rejected` if a property list can't be read or names no bundle, or if iOS would refuse the profile.
    """
    app, files = _app(archive.entries)
    info = _info(archive, f"{app}Info.plist", _MAX_PLIST_BYTES)
    package_id = _bundle_id(info, "The IPA's Info.plist")
    if "embedded.mobileprovision" not in files:
        raise profiles.missing()
    profile, certificate = profiles.read(
        archive.read(f"{app}embedded.mobileprovision", profiles.MAX_PROFILE_BYTES), package_id
    )
    build = clean_text(info.get("CFBundleVersion"))
    return PackageFacts(
        platform=Platform.IOS,
        package_id=package_id,
        version=clean_text(info.get("CFBundleShortVersionString")) or build,
        version_code=_version_code(build),
        signature=_signature(profile.team_id, certificate),
        label=_name(info),
        framework=_framework(files),
        minimum_os=clean_text(info.get("MinimumOSVersion")),
        device_families=_families(info.get("UIDeviceFamily")),
        extensions=tuple(_extensions(archive, app, files)),
        profile=profile,
        icon=_icon(archive, app, files, info),
    )


def _signature(team_id: str, certificate: Certificate | None) -> Signature:
    return Signature(
        scheme=Scheme.PROFILE,
        signer=team_id,
        schemes=(Scheme.PROFILE,),
        certificate=certificate,
        ranges=(SignerRange(0, team_id),),
    )


def _app(names: Iterable[str]) -> tuple[str, list[str]]:
    """Return the app's folder and the files in it, relative to it.

    Raises `Rejected` if there are several apps.
    """
    found: dict[str, list[str]] = {}
    for name in names:
        if match := _APP.fullmatch(name):
            found.setdefault(match[1], []).append(match[2])
    if len(found) != 1:
        raise Rejected(
            "several_apps",
            f"The IPA has {len(found)} apps in its Payload folder; iPhones install one. Export it again with "
            "one app.",
        )
    return next(iter(found.items()))


def _info(archive: Archive, name: str, limit: int) -> dict[str, Any]:
    try:
        return profiles.property_list(archive.read(name, limit))
    except ValueError as error:
        shown = archive.entries[name].shown
        raise Rejected(
            "unreadable_info_plist",
            f"The IPA's Info.plist can't be read ({shown}). Export the IPA again and upload that.",
        ) from error


def _bundle_id(info: dict[str, Any], where: str) -> str:
    """Raise `Rejected` for a missing bundle id, and for one with characters that would be lost when shown."""
    given = info.get("CFBundleIdentifier")
    bundle_id = clean_text(given)
    if not bundle_id or bundle_id != given:
        raise Rejected(
            "no_package_id",
            f"{where} names no CFBundleIdentifier that can be used. Build it again with a bundle id.",
        )
    return bundle_id


def _name(info: dict[str, Any]) -> str | None:
    return clean_text(info.get("CFBundleDisplayName")) or clean_text(info.get("CFBundleName"))


def _version_code(build: str | None) -> int | None:
    if build is None or not re.fullmatch(r"[0-9]{1,19}", build):
        return None
    code = int(build)
    return code if code <= MAX_VERSION_CODE else None


def _families(value: object) -> tuple[str, ...]:
    numbers = value if isinstance(value, list) else [value]
    known = [
        _FAMILIES[number] for number in numbers[:MAX_LISTED] if type(number) is int and number in _FAMILIES
    ]
    return tuple(dict.fromkeys(known))


def _framework(files: list[str]) -> str:
    for name, starts in _FRAMEWORKS:
        if any(file.startswith(starts) for file in files):
            return name
    return "native"


def _extensions(archive: Archive, app: str, files: list[str]) -> Iterator[Extension]:
    for file in [each for each in files if _EXTENSION.fullmatch(each)][:MAX_LISTED]:
        info = _info(archive, app + file, _MAX_EXTENSION_PLIST_BYTES)
        point = _dictionary(info.get("NSExtension")).get("NSExtensionPointIdentifier")
        newer_point = _dictionary(info.get("EXAppExtensionAttributes")).get("EXExtensionPointIdentifier")
        yield Extension(
            bundle_id=_bundle_id(
                info, f"The Info.plist of an extension ({archive.entries[app + file].shown})"
            ),
            name=_name(info),
            point=clean_text(point) or clean_text(newer_point),
        )


def _dictionary(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _icon(archive: Archive, app: str, files: list[str], info: dict[str, Any]) -> bytes | None:
    """Return the best icon that Info.plist names, else with Xcode's usual name, else the iTunes artwork."""
    named = set(_icon_names(info))
    by_info: list[str] = []
    by_convention: list[str] = []
    for file in files:
        match = _ICON_FILE.fullmatch(file)
        if match and not named.isdisjoint((match[1], file, file.removesuffix(".png"))):
            by_info.append(app + file)
        elif match and "/" not in file and file.startswith("AppIcon"):
            by_convention.append(app + file)
    for candidates in (by_info, by_convention, ["iTunesArtwork@2x", "iTunesArtwork"]):
        if (png := icons.best_of(_images(archive, candidates))) is not None:
            return png
    return None


def _images(archive: Archive, names: Iterable[str]) -> Iterator[bytes]:
    existing = [name for name in names if name in archive.entries]
    small = [name for name in existing if archive.entries[name].size <= icons.MAX_BYTES]
    return (archive.read(name, icons.MAX_BYTES) for name in small[:_MAX_ICONS])


def _icon_names(info: dict[str, Any]) -> Iterator[str]:
    """Yield the names of icon files in Info.plist, with and without their scale and device suffix."""
    lists = [info.get("CFBundleIconFiles"), [info.get("CFBundleIconFile")]]
    for key in ("CFBundleIcons", "CFBundleIcons~ipad"):
        primary = _dictionary(_dictionary(info.get(key)).get("CFBundlePrimaryIcon"))
        lists.append(primary.get("CFBundleIconFiles"))
    for names in lists:
        for name in names[:MAX_LISTED] if isinstance(names, list) else []:
            if isinstance(name, str):
                yield name
                if match := _ICON_FILE.fullmatch(name):
                    yield match[1]
